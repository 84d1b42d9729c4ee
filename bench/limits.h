// What the machine allows: rates of memory and of the instructions that the kernels multiply with,
// to measure in turn with the kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace precis::bench {

// Seconds of wall time, or, once count_processor_time was called, of the process' time divided by
// the number of threads.
double seconds(const std::function<void()>& work);
void count_processor_time(unsigned threads);

enum class Bound { reading, writing, integers, floats };

struct Limit {
  std::string name, unit;
  std::function<double()> measure;
};

// Of the instruction set that the kernels run with, on `threads` threads of the process' host.
class Limits {
 public:
  // bytes: of the memory that is read and written.
  Limits(unsigned threads, uint64_t bytes);
  Limits(const Limits&) = delete;
  Limits& operator=(const Limits&) = delete;

  const Limit& of(Bound bound) const { return limits_[static_cast<std::size_t>(bound)]; }

 private:
  std::vector<std::byte> memory_;
  std::vector<Limit> limits_;
};

}  // namespace precis::bench
