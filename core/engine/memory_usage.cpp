#include "core/engine/memory_usage.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>

namespace precis {

uint64_t anonymous_memory_bytes() {
  std::ifstream status("/proc/self/status");
  std::string key;
  uint64_t kib = 0;
  while (status >> key) {
    if (key == "RssAnon:" && status >> kib) return kib * 1024;
    status.ignore(1000, '\n');
  }
  return 0;
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
