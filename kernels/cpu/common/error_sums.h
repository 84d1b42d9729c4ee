// How far decoded weights are from the original ones, in the original's own number type.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

struct ErrorSums {
  double squared_error = 0;     // sum of (original - decoded)^2
  double squared_original = 0;  // sum of original^2
  double max_error = 0;         // largest |original - decoded|
};

struct ErrorSumKernels {
  // The sums over `count` pairs, at most kErrorSumPairs. False, and `sums` untouched, where float32
  // cannot hold them: a NaN, an infinity, an overflow, or squares next to underflow. Within 1e-5 of
  // the exact sums. [any thread]
  bool (*sum)(WeightType type, const void* original, const float* decoded, uint64_t count,
              ErrorSums& sums);
};

inline constexpr uint64_t kErrorSumPairs = 4096;

const ErrorSumKernels& error_sum_kernels(Isa isa);

}  // namespace precis::kernels
