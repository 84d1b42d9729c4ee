// What a plugin leaves behind in the process.
#include <malloc.h>
#include <unistd.h>

#include <cfenv>
#include <clocale>
#include <csignal>
#include <filesystem>
#include <limits>

#include "validate/rules/rule.h"
#include "validate/subject/stored.h"

namespace precis::validate {
namespace {

// Makes a quantizer, encodes and decodes a weight, and destroys all of it.
Status use(const Subject& subject, const Preset& preset, const Weight& weight) {
  PRECIS_ASSIGN(const Instance instance, Instance::make(subject, preset));
  PRECIS_ASSIGN(const auto parts, encoded_parts(instance, weight));
  PRECIS_TRY(decoded_numbers(instance, weight, parts));
  return {};
}

Verdict memory(Subject& subject) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance& instance) -> Verdict {
    const auto weight = readable_weight(subject, instance);
    if (!weight) return Verdict::skip("there is no weight to work on");
    // The allocator's own books move a little; a leak grows in every round.
    constexpr int kWarmUp = 2, kRounds = 8;
    int64_t least = std::numeric_limits<int64_t>::max();
    for (int round = 0; round < kWarmUp + kRounds; ++round) {
      const auto before = static_cast<int64_t>(::mallinfo2().uordblks);
      PRECIS_TRY(use(subject, preset, *weight));
      if (round >= kWarmUp)
        least = std::min(least, static_cast<int64_t>(::mallinfo2().uordblks) - before);
    }
    if (least <= 0) return {};
    return violation("{} bytes are left of each round of create, quantize, dequantize, destroy",
                     least);
  });
}

Verdict host_memory(Subject& subject) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance& instance) -> Verdict {
    const auto weight = readable_weight(subject, instance);
    if (!weight) return Verdict::skip("there is no weight to work on");
    const int64_t before = subject.host().buffers();
    PRECIS_TRY(use(subject, preset, *weight));
    const int64_t kept = subject.host().buffers() - before;
    if (kept == 0) return {};
    return violation("{} buffers of the host are not given back", kept);
  });
}

std::size_t entries_of(const char* folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    (void)entry;
    ++count;
  }
  return count;
}

Verdict files(Subject& subject) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance& instance) -> Verdict {
    const auto weight = readable_weight(subject, instance);
    if (!weight) return Verdict::skip("there is no weight to work on");
    const std::size_t before = entries_of("/proc/self/fd");
    PRECIS_TRY(use(subject, preset, *weight));
    const std::size_t after = entries_of("/proc/self/fd");
    if (after <= before) return {};
    return violation("{} files are left open", after - before);
  });
}

Verdict threads(Subject& subject) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance& instance) -> Verdict {
    const auto weight = readable_weight(subject, instance);
    if (!weight) return Verdict::skip("there is no weight to work on");
    const uint64_t before = threads_started();
    PRECIS_TRY(use(subject, preset, *weight));
    const uint64_t started = threads_started() - before;
    if (started == 0) return {};
    return violation("it starts {} threads of its own", started);
  });
}

Verdict state(Subject& subject) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance& instance) -> Verdict {
    const auto weight = readable_weight(subject, instance);
    if (!weight) return Verdict::skip("there is no weight to work on");
    const auto folder = std::filesystem::current_path();
    const std::string locale = std::setlocale(LC_ALL, nullptr);
    const int rounding = std::fegetround();
    std::vector<struct sigaction> handlers(NSIG);
    for (int signal = 1; signal < NSIG; ++signal)
      ::sigaction(signal, nullptr, &handlers[static_cast<std::size_t>(signal)]);
    PRECIS_TRY(use(subject, preset, *weight));
    if (std::filesystem::current_path() != folder) return violation("it changes the directory");
    if (std::setlocale(LC_ALL, nullptr) != locale) return violation("it changes the locale");
    volatile float subnormal = 0x1p-140F;
    if (std::fegetround() != rounding || subnormal * 0.5F == 0)
      return violation("it changes how floating-point numbers are rounded or flushed");
    for (int signal = 1; signal < NSIG; ++signal) {
      struct sigaction now {};
      ::sigaction(signal, nullptr, &now);
      if (now.sa_handler != handlers[static_cast<std::size_t>(signal)].sa_handler)
        return violation("it takes the signal {} over", signal);
    }
    return {};
  });
}

constexpr Rule kRules[] = {
    {"process.memory", "R7", "what a quantizer allocates is freed with it", memory},
    {"process.host-memory", "host.h: precis_host_memory_v1", "the host's buffers are given back",
     host_memory},
    {"process.files", "B8", "no file is left open", files},
    {"process.threads", "C3", "it starts no threads of its own", threads},
    {"process.state", "B8",
     "directory, locale, signals and the floating-point mode are left as they are", state}};

}  // namespace

std::span<const Rule> process_rules() {
  return kRules;
}

}  // namespace precis::validate
