// Activations as LLM.int8() rounds them: to float16 first, then to 8 bits by the largest magnitude
// of the row, columns with outliers left out. bitsandbytes 0.50 (backends/default/ops.py).
#pragma once

#include <cmath>

#include "kernels/cpu/activations/rules.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace activations {

// The largest magnitude below `threshold`, in float16, of a row; a NaN among the numbers wins. No
// number reaches a threshold of NaN.
template <typename Type>
float absmax_below(const typename Type::Stored* row, uint64_t count, float threshold) {
  int32_t best = 0;
  uint64_t i = 0;
#if PRECIS_LANES > 1
  Ints bests = Ints::of(0);
  for (; i + kLanes <= count; i += kLanes) {
    const Floats value = abs(round_through_half(load_numbers<Type>(row + i)));
    const Mask outlier = Floats::of(threshold) <= value;
    bests = max(bests, as_ints(select(outlier, Floats::of(0), value)));
  }
  best = largest_of(bests);
#endif
  for (; i < count; ++i) {
    const int32_t bits = std::bit_cast<int32_t>(F16::round(Type::load(row, i))) & 0x7fffffff;
    const bool is_outlier = std::bit_cast<float>(bits) >= threshold;
    best = bits > best && !is_outlier ? bits : best;
  }
  return std::bit_cast<float>(best);
}

// Codes of numbers times `factor`, 0 for NaNs and where `outlier` is not 0; returns their sum.
inline int32_t encode_but_outliers(const float* values, const uint8_t* outlier, float factor,
                                   uint64_t count, int8_t* codes) {
  int32_t sum = 0;
  uint64_t i = 0;
#if PRECIS_LANES > 1
  Ints sums = Ints::of(0);
  for (; i + kLanes <= count; i += kLanes) {
    const Floats scaled = round_through_half(Floats::load(values + i)) * Floats::of(factor);
    const Mask kept = (scaled == scaled) & (Ints::load(outlier + i) == Ints::of(0));
    const Ints code = truncate(round_to_even(select(kept, scaled, Floats::of(0))));
    store_bytes(reinterpret_cast<uint8_t*>(codes + i), code);
    sums = sums + code;
  }
  sum = sum_of(sums);
#endif
  for (; i < count; ++i) {
    const float scaled = F16::round(values[i]) * factor;
    const bool kept = outlier[i] == 0 && scaled == scaled;
    codes[i] = static_cast<int8_t>(static_cast<int32_t>(round_to_even(kept ? scaled : 0.0f)));
    sum += codes[i];
  }
  return sum;
}

// Marks where a magnitude reaches `threshold`.
template <typename Type>
void mark_outliers(const typename Type::Stored* row, uint64_t count, float threshold,
                   uint8_t* outlier) {
  uint64_t i = 0;
#if PRECIS_LANES > 1
  for (; i + kLanes <= count; i += kLanes) {
    const Floats value = abs(round_through_half(load_numbers<Type>(row + i)));
    if (!any(Floats::of(threshold) <= value)) continue;
    for (uint64_t j = i; j < i + kLanes; ++j)
      outlier[j] |= static_cast<uint8_t>(std::fabs(F16::round(Type::load(row, j))) >= threshold);
  }
#endif
  for (; i < count; ++i)
    outlier[i] |= static_cast<uint8_t>(std::fabs(F16::round(Type::load(row, i))) >= threshold);
}

}  // namespace activations
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
