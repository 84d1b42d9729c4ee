// Compiled once for each instruction set.
//
// Bound by arithmetic, at about 9 operations for a line of 16 pairs: the sums of a few thousand
// pairs are kept in float32, since widening each pair to double would take as many again.
#include "kernels/cpu/common/error_sums.h"

#include <cmath>

#include "kernels/cpu/common/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// Between them the squares of the originals, and those of errors a million times smaller, are
// ordinary float32.
constexpr double kSmallestSum = 1e-20, kLargestSum = 1e30;

#if PRECIS_LANES > 1

// Whole lines of the pairs; returns how many pairs these were.
template <typename Type>
uint64_t sum_lines(const typename Type::Stored* original, const float* decoded, uint64_t count,
                   ErrorSums& sums) {
  // Two of each, so that one sum need not wait for the other.
  Floats error[2], square[2], largest[2];
  for (int k = 0; k < 2; ++k) error[k] = square[k] = largest[k] = Floats::of(0);
  uint64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    for (int k = 0; k < 2; ++k) {
      const Floats w = load_numbers<Type>(original + i + k * kLanes);
      const Floats difference = w - Floats::load(decoded + i + k * kLanes);
      error[k] = error[k] + difference * difference;
      square[k] = square[k] + w * w;
      largest[k] = max(abs(difference), largest[k]);
    }
  }
  sums = {sum_of(error[0] + error[1]), sum_of(square[0] + square[1]),
          largest_of(max(largest[0], largest[1]))};
  return i;
}

#else

template <typename Type>
uint64_t sum_lines(const typename Type::Stored*, const float*, uint64_t, ErrorSums&) {
  return 0;
}

#endif

bool sum(WeightType type, const void* original, const float* decoded, uint64_t count,
         ErrorSums& result) {
  ErrorSums sums;
  with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(original);
    for (uint64_t i = sum_lines<Type>(values, decoded, count, sums); i < count; ++i) {
      const double w = Type::load(values, i), error = w - static_cast<double>(decoded[i]);
      sums.squared_error += error * error;
      sums.squared_original += w * w;
      sums.max_error = std::max(sums.max_error, std::fabs(error));
    }
  });
  const bool held = sums.squared_original > kSmallestSum && sums.squared_original < kLargestSum &&
                    sums.squared_error < kLargestSum;
  if (!held) return false;
  result.squared_error += sums.squared_error;
  result.squared_original += sums.squared_original;
  result.max_error = std::max(result.max_error, sums.max_error);
  return true;
}

}  // namespace

const ErrorSumKernels& error_sum_kernels() {
  static constexpr ErrorSumKernels kernels{sum};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
