// This process' memory as the kernel counts it.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>

namespace precis {

// Anonymous resident memory (RssAnon of /proc/self/status), bytes; 0 where the system does not
// tell.
uint64_t anonymous_memory_bytes();

// What the system can still give this process without taking it from others: available memory and
// free swap, less where its control group allows less, bytes; nothing where the system does not
// tell.
std::optional<uint64_t> available_memory_bytes();

// Gives the system back what was freed and the C library keeps for later (glibc does, by tens of
// MB). [any thread]
void release_freed_memory();

// The peak of anonymous memory while it lives, looked at every two milliseconds.
class PeakMemory {
 public:
  PeakMemory();
  ~PeakMemory();
  PeakMemory(const PeakMemory&) = delete;
  PeakMemory& operator=(const PeakMemory&) = delete;

  // Above what the process had at the beginning, bytes. [any thread]
  uint64_t growth() const;

 private:
  void look();

  const uint64_t start_;
  std::atomic<uint64_t> peak_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace precis
