// What holds for every call: reports, cancelling, threads.
#include <ctime>
#include <mutex>
#include <thread>

#include "core/abi/call.h"
#include "core/abi/views.h"
#include "validate/rules/rule.h"
#include "validate/subject/older_host.h"

namespace precis::validate {
namespace {

using Parts = std::vector<std::vector<std::byte>>;

Verdict reports(Subject& subject) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance& instance) -> Verdict {
    for (const std::string text : {"", "[]", "{\"no_such_option\": 3}", "{\"quant_method\": 7}"}) {
      doing("normalize of " + text);
      const precis_config config = config_request(text);
      std::string out;
      const precis_sink sink = string_sink(out);
      const RecordedCall call;
      PRECIS_TRY(call.check_report(
          subject.factory().normalize(call.abi(), preset.method, &config, &sink)));
    }
    const std::vector<std::vector<int64_t>> shapes = {{}, {3, 5}, {128, 256}, {2, 3, 64, 64}};
    for (const auto& shape : shapes) {
      for (const DType dtype : {DType::f32, DType::i8}) {
        const Param linear = linear_param(dtype, shape);
        const HostParam param(linear);
        precis_plan plan{sizeof(precis_plan), 0, nullptr, 0, 0, 0};
        const RecordedCall call;
        PRECIS_TRY(call.check_report(instance.quantize().plan(instance.handle(), call.abi(),
                                                              kCpuDevice, param.get(), &plan)));
      }
    }
    if (const auto weight = fitting_weight(instance)) {
      RecordedCall call;
      EncodeOptions options;
      options.call = &call;
      options.leave_out = weight->plan.parts.size();
      doing("quantize without parts");
      PRECIS_TRY(call.check_report(encode(instance, *weight, options).status));
    }
    return {};
  });
}

Verdict silent(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    RecordedCall call;
    call.be_silent();
    EncodeOptions options;
    options.call = &call;
    doing("quantize with poll and fail NULL");
    PRECIS_TRY(encode(instance, weight, options).outcome);
    RecordedCall refused;
    refused.be_silent();
    options.call = &refused;
    options.leave_out = weight.plan.parts.size();
    (void)encode(instance, weight, options);
    return {};
  });
}

Verdict cancel(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts expected, encoded_parts(instance, weight));
    RecordedCall counting;
    EncodeOptions options;
    options.call = &counting;
    PRECIS_TRY(encode(instance, weight, options).outcome);
    const uint64_t polls = counting.polls();
    if (polls == 0) return violation("quantize never polls");
    for (const uint64_t stop : {uint64_t{0}, polls / 2, polls - 1}) {
      RecordedCall call;
      call.stop_at(stop);
      options.call = &call;
      doing(fmt::format("quantize, told to stop at poll {} of {}", stop, polls));
      if (const precis_status status = encode(instance, weight, options).status;
          status != PRECIS_CANCELLED)
        return violation("told to stop at poll {} of {} it gives status {}", stop, polls, status);
      PRECIS_ASSIGN(const Parts again, encoded_parts(instance, weight));
      if (again != expected) return violation("after a cancelled call it gives other bytes");
    }
    return {};
  });
}

Verdict loops(Subject& subject) {
  return for_each_weight(subject, [&](const Instance& instance, const Weight& weight) -> Verdict {
    TestHost& host = subject.host();
    host.refuse_loops(true);
    doing("quantize on a host whose parallel_for fails");
    const precis_status status = encode(instance, weight).status;
    host.refuse_loops(false);
    if (host.refused_loops() == 0) return Verdict::skip("it never calls parallel_for");
    if (status != PRECIS_OK) return {};
    return violation("the host ran no piece of its loop, and it gives PRECIS_OK");
  });
}

Verdict older_host(Subject& subject) {
  return for_each_readable(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, weight));
    PRECIS_ASSIGN(const auto numbers, decoded_numbers(instance, weight, parts));
    const OlderHost older(0);
    doing("plan, quantize and dequantize with a precis_param of minor 0");
    if (weight.stored == nullptr) PRECIS_TRY(plan_of(instance, weight.param));
    PRECIS_ASSIGN(const Parts again, encoded_parts(instance, weight));
    PRECIS_ASSIGN(const auto decoded, decoded_numbers(instance, weight, again));
    if (again != parts || relative_error(decoded, numbers) != 0)
      return violation("with a precis_param of minor 0 it gives other bytes");
    if (instance.loading() == nullptr) return {};
    precis_storage out{};
    out.struct_size = sizeof out;
    const HostParam param(weight.param);
    const RecordedCall call;
    PRECIS_TRY(
        call.finish(instance.loading()->storage(instance.handle(), call.abi(), param.get(), &out)));
    return {};
  });
}

double cpu_seconds() {
  struct timespec now {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

Verdict polls(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& small) -> Verdict {
    // Long enough for a call of some hundred milliseconds with most methods.
    const std::vector<int64_t> shape{small.param.shape[0] * 4, small.param.shape[1] * 4};
    const auto count = static_cast<std::size_t>(shape[0] * shape[1]);
    PRECIS_ASSIGN(
        const Weight weight,
        planned_weight(instance, linear_param(small.param.dtype, shape), normal_numbers(count, 5)));
    RecordedCall call;
    double last = cpu_seconds(), longest = 0;
    const auto note = [&] {
      const double now = cpu_seconds();
      longest = std::max(longest, now - last);
      last = now;
    };
    call.on_poll = note;  // the host has one thread
    EncodeOptions options;
    options.call = &call;
    doing("quantize of " + weight.text());
    last = cpu_seconds();
    PRECIS_TRY(encode(instance, weight, options).outcome);
    note();
    // Twice the 100 ms, for a machine that does other things as well.
    if (longest < 0.2) return {};
    return violation("it works for {:.0f} ms without a poll on {}", longest * 1e3, weight.text());
  });
}

Verdict concurrent(Subject& subject) {
  subject.host().use_threads(3);
  return for_each_readable(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts expected, encoded_parts(instance, weight));
    PRECIS_ASSIGN(const auto decoded, decoded_numbers(instance, weight, expected));
    std::mutex mutex;
    std::string wrong;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        const auto parts = encoded_parts(instance, weight);
        const auto numbers = decoded_numbers(instance, weight, expected);
        const std::lock_guard lock(mutex);
        if (!parts.ok() || *parts != expected) wrong = "quantize";
        if (!numbers.ok() || relative_error(*numbers, decoded) != 0) wrong = "dequantize";
      });
    }
    for (std::thread& thread : threads) thread.join();
    if (wrong.empty()) return {};
    return violation("8 calls of {} at once give other results than one after another", wrong);
  });
}

constexpr Rule kRules[] = {
    {"calls.reports", "C5", "a call that fails says why, once, in UTF-8 of at most 4 KiB", reports},
    {"calls.silent", "call.h: fail, poll", "without fail and poll it works as well", silent},
    {"calls.cancel", "C4", "told to stop at any poll it gives PRECIS_CANCELLED and stays usable",
     cancel},
    {"calls.polls", "C4", "long calls poll at least every 100 ms of work", polls},
    {"calls.concurrent", "ext/quantize.h", "one quantizer works on several threads at once",
     concurrent},
    {"calls.loops", "C3", "a loop that the host could not run fails the call", loops},
    {"calls.older-host", "R2", "a precis_param is read as far as its struct_size", older_host}};

}  // namespace

std::span<const Rule> call_rules() {
  return kRules;
}

}  // namespace precis::validate
