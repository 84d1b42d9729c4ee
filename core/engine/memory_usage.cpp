#include "core/engine/memory_usage.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <string_view>

namespace precis {

namespace {

// The number behind `key` in a file of lines "key number …".
std::optional<uint64_t> number_of(const char* file, std::string_view key) {
  std::ifstream lines(file);
  std::string word;
  uint64_t number = 0;
  while (lines >> word) {
    if (word == key && lines >> number) return number;
    lines.clear();
    lines.ignore(1000, '\n');
  }
  return std::nullopt;
}

// Of a file that holds one number, or "max".
std::optional<uint64_t> number_in(const char* file) {
  std::ifstream stream(file);
  uint64_t number = 0;
  if (stream >> number) return number;
  return std::nullopt;
}

// Under the limit of the control group that the process sees as the root, as containers have it.
std::optional<uint64_t> available_in_group() {
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (!limit || !used) return std::nullopt;
  // Files in the cache give way.
  const uint64_t cached = number_of("/sys/fs/cgroup/memory.stat", "file").value_or(0);
  const uint64_t held = *used - std::min(cached, *used);
  return *limit - std::min(held, *limit);
}

}  // namespace

uint64_t anonymous_memory_bytes() {
  return number_of("/proc/self/status", "RssAnon:").value_or(0) * 1024;
}

std::optional<uint64_t> available_memory_bytes() {
  const auto memory = number_of("/proc/meminfo", "MemAvailable:");
  if (!memory) return std::nullopt;
  const uint64_t swap = number_of("/proc/meminfo", "SwapFree:").value_or(0);
  const uint64_t available = (*memory + swap) * 1024;
  return std::min(available, available_in_group().value_or(available));
}

void release_freed_memory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

PeakMemory::PeakMemory()
    : start_(anonymous_memory_bytes()), peak_(start_), thread_([this] {
        while (!done_) {
          look();
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
      }) {}

PeakMemory::~PeakMemory() {
  done_ = true;
  thread_.join();
}

void PeakMemory::look() {
  peak_ = std::max(peak_.load(), anonymous_memory_bytes());
}

uint64_t PeakMemory::growth() const {
  return std::max(peak_.load(), anonymous_memory_bytes()) - start_;
}

}  // namespace precis
