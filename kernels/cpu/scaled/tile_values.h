// What the codes of a tile stand for; of one instruction set.
#pragma once

#include "kernels/cpu/common/output.h"
#include "kernels/cpu/scaled/narrow_rows.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline float load_scale(const ScaledWeight& weight, uint64_t i) {
  float scale = 0;
  switch (weight.scale_type) {
    case ScaleType::f32:
      scale = static_cast<const float*>(weight.scales)[i];
      break;
    case ScaleType::f16:
      scale = half_to_float(static_cast<const uint16_t*>(weight.scales)[i]);
      break;
    case ScaleType::bf16:
      scale = bfloat16_to_float(static_cast<const uint16_t*>(weight.scales)[i]);
      break;
    case ScaleType::e8m0:
      scale = float8_e8m0_to_float(static_cast<const uint8_t*>(weight.scales)[i]);
      break;
    case ScaleType::e4m3fn:
      scale = float8_e4m3fn_to_float(static_cast<const uint8_t*>(weight.scales)[i]);
      break;
  }
  return scale / weight.divisor * weight.factor;
}

// The value of a number, rounded at each step.
template <typename Rounding>
auto value_of(float zero, float scale) {
  return [zero, scale](auto number) {
    using Value = decltype(number);
    return round_as<Rounding>(round_as<Rounding>(number - all_of<Value>(zero)) *
                              all_of<Value>(scale));
  };
}

// The numbers of codes of 4 bits.
struct NibbleNumbers {
  alignas(64) float list[16];
  explicit NibbleNumbers(const NarrowRows& rows) {
    for (int code = 0; code < 16; ++code) {
      list[code] =
          rows.type == NarrowType::packed_int ? static_cast<float>(code - 8) : kFloat4E2M1[code];
    }
  }
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
