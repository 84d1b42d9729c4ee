// What the codes of a tile stand for; of one instruction set.
#pragma once

#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/scaled/narrow_rows.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Scales of tiles [begin, end), counted over the whole weight.
inline void load_scales(const ScaledWeight& weight, uint64_t begin, uint64_t end, float* scales) {
  const auto load = [&](auto* stored, auto number_of) {
    for (uint64_t i = begin; i < end; ++i) {
      const float scale = number_of(stored[i]);
      scales[i - begin] = scale / weight.divisor * weight.factor;
    }
  };
  switch (weight.scale_type) {
    case ScaleType::f32:
      return load(static_cast<const float*>(weight.scales), [](float scale) { return scale; });
    case ScaleType::f16:
      return load(static_cast<const uint16_t*>(weight.scales),
                  [](uint16_t bits) { return F16::load(&bits, 0); });
    case ScaleType::bf16:
      return load(static_cast<const uint16_t*>(weight.scales), bfloat16_to_float);
    case ScaleType::e8m0:
      return load(static_cast<const uint8_t*>(weight.scales), float8_e8m0_to_float);
    case ScaleType::e4m3fn:
      break;
  }
  decode_bytes<Float8E4M3FN, F32>(
      static_cast<const uint8_t*>(weight.scales) + begin, end - begin,
      [&](auto scale) {
        using Value = decltype(scale);
        return scale / all_of<Value>(weight.divisor) * all_of<Value>(weight.factor);
      },
      scales);
}
inline float load_scale(const ScaledWeight& weight, uint64_t i) {
  float scale = 0;
  load_scales(weight, i, i + 1, &scale);
  return scale;
}

// The value of a number, rounded at each step: no dtype rounds the difference of two integers of at
// most 8 bits. The last rounding is left to whom writes the value down where it writes that dtype.
template <typename Rounding, typename Out>
auto value_of(float zero, float scale) {
  return [zero, scale](auto number) {
    using Value = decltype(number);
    const Value value = (number - all_of<Value>(zero)) * all_of<Value>(scale);
    if constexpr (std::is_same_v<Rounding, Out>)
      return value;
    else
      return round_as<Rounding>(value);
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
