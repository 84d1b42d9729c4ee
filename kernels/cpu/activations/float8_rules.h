// How scales and numbers of float8 are found for activations; of one instruction set.
#pragma once

#include "kernels/cpu/activations/rules.h"
#include "kernels/cpu/common/float8.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace activations {

inline constexpr float kLargestE4M3 = 448.0f;

// A number within E4M3FN's range, rounded to it.
inline float e4m3(float value) {
  return float8_e4m3fn_to_float(float_to_float8_e4m3fn(clamp(value, -kLargestE4M3, kLargestE4M3)));
}
#if PRECIS_LANES > 1
inline Floats e4m3(Floats value) {
  const Ints sign = as_ints(value) & Ints::of(std::numeric_limits<int32_t>::min());
  const Floats magnitude = min(abs(value), Floats::of(kLargestE4M3));
  const Ints bits = as_ints(magnitude);
  const Ints half_below = Ints::of(0x7ffff) + ((bits >> 20) & Ints::of(1));
  const Floats normal = as_floats((bits + half_below) & Ints::of(-0x100000));
  // Below 2^-6 the numbers are multiples of 2^-9.
  const Floats shift = Floats::of(16384);
  const Floats rounded =
      select(magnitude < Floats::of(0x1p-6f), (magnitude + shift) - shift, normal);
  return as_floats(as_ints(rounded) | sign);
}
#endif

// Of finite numbers that share a scale. 0, for zeros: there is nothing to scale.
template <typename Type>
float float8_scale(const ActivationRounding& rounding, const typename Type::Stored* x,
                   uint64_t count) {
  float largest = absmax_of<Type>(x, 0, count);
  if (rounding.rule == ActivationRule::compressed_float8) {
    const float scale = Type::round(largest / kLargestE4M3);
    return scale == 0 ? epsilon<Type>() : scale;
  }
  if (rounding.largest > 0) largest = std::min(largest, rounding.largest);
  return std::max(Type::round(largest / kLargestE4M3), rounding.smallest_scale);
}

}  // namespace activations
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
