// Numbers as codes of narrow integers and floats, as kernels/cpu/scaled encodes them, bit for bit.
#pragma once

#include "kernels/device/formats/narrow_numbers.h"
#include "kernels/device/quantize_groups.h"

namespace precis::kernels::PRECIS_DEVICE {

// What a number divided by its scale is rounded to: nothing, the weight's dtype; or it is
// multiplied by the scale's reciprocal and not rounded.
enum class Quotient : uint32_t { exact, rounded, reciprocal };

struct ScaledKernelEncoding {
  uint32_t rows, columns;
  NarrowType type;
  uint32_t code_bits;  // as stored
  uint32_t bits;       // of an integer
  uint64_t row_bytes;  // of a row, or of a pair of rows
  TileSide tile_rows, tile_columns;
  uint32_t tiles_per_row;
  ScaleRule rule;
  Quotient quotient;
  bool symmetric, float_scales;
  float largest;        // number of the type
  float whole_divisor;  // ScaleRule::two_levels_product: absmax over the scale of the whole weight
};

PRECIS_FUNCTION float clamped(float value, float low, float high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}

PRECIS_FUNCTION uint32_t float4_code(ScaleRule rule, float value) {
  const uint32_t sign = bits_as<uint32_t>(value) >> 28 & 8u;
  const float magnitude = bits_as<float>(bits_as<uint32_t>(value) & 0x7fffffffu);
  // Ties that go up: all, none, or those to an even code.
  const bool all = rule == ScaleRule::exponent_above, none = rule == ScaleRule::exponent_ceiling;
  uint32_t code = 0;
  PRECIS_UNROLL
  for (int i = 0; i < 7; ++i) {
    constexpr float kBounds[7] = {0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f};
    const bool tie_up = all || (!none && i % 2 != 0);
    code += magnitude > kBounds[i] || (tie_up && magnitude == kBounds[i]) ? 1u : 0u;
  }
  if (all) return code | sign;
  if (none) return code | (value > 0 ? 0u : 8u);
  const uint32_t negative = value < 0 ? 8u : 0u;
  return rule == ScaleRule::exponent_positive_zero && code == 0 ? 0u : code | negative;
}

PRECIS_FUNCTION uint32_t float6_code(float value) {
  const uint32_t bits = bits_as<uint32_t>(value), magnitude = bits & 0x7fffffffu;
  const uint32_t bounded = magnitude > 0x40f00000u ? 0x40f00000u : magnitude;  // 7.5
  const int exponent = static_cast<int>(bounded >> 23) - 127;
  const int step = exponent < 0 ? 0 : exponent;  // multiples of 2^(step - 3)
  const float scaled =
      bits_as<float>(bounded) * bits_as<float>(static_cast<uint32_t>(127 + 3 - step) << 23);
  return (bits >> 26 & 0x20u) |
         static_cast<uint32_t>(8 * step + static_cast<int>(nearest_even(scaled)));
}

// One number, divided and moved, as its stored code.
PRECIS_FUNCTION uint32_t narrow_code_of(const ScaledKernelEncoding& encoding, float value) {
  switch (encoding.type) {
    case NarrowType::float8_e4m3fn:
      if (value != value) return 0x7f;
      // compressed-tensors adds a zero point of 0, which turns -0.0 into 0.
      if (encoding.rule == ScaleRule::own || encoding.rule == ScaleRule::exponent) value += 0.0f;
      return e4m3fn_code(clamped(value, -448.0f, 448.0f));
    case NarrowType::float6_e2m3:
      return float6_code(value);
    case NarrowType::float4_e2m1:
      return float4_code(encoding.rule, value);
    default:
      break;
  }
  const auto half = static_cast<float>(1 << (encoding.bits - 1));
  const int number =
      value == value ? static_cast<int>(nearest_even(clamped(value, -half, half - 1))) : 0;
  const int offset = encoding.type == NarrowType::packed_int ? 1 << (encoding.bits - 1) : 0;
  return static_cast<uint32_t>(number + offset) & ((1u << encoding.code_bits) - 1);
}

}  // namespace precis::kernels::PRECIS_DEVICE
