// Scales of tiles as kernels/cpu/scaled finds them, bit for bit.
#pragma once

#include "kernels/device/scaled_codes.h"

namespace precis::kernels::PRECIS_DEVICE {

// The range of a tile and 0; both NaN when a number is.
PRECIS_FUNCTION float absmax_of(ValueRange range) {
  return range.low != range.low ? range.low : range.high > -range.low ? range.high : -range.low;
}
PRECIS_FUNCTION bool is_finite(float value) {
  return (bits_as<uint32_t>(value) & 0x7fffffffu) < 0x7f800000u;
}
PRECIS_FUNCTION float e8m0_value(uint32_t exponent) {
  return bits_as<float>(exponent == 0 ? 0x00400000u : exponent << 23);
}

// A weight's dtype: torch.finfo's eps and tiny, its bits, and a number from them.
template <class Element>
struct Dtype;
template <>
struct Dtype<float> {
  static constexpr float eps = 0x1p-23f, tiny = 0x1p-126f;
  static constexpr uint32_t mantissa = 23;
  static PRECIS_FUNCTION uint32_t bits(float value) { return bits_as<uint32_t>(value); }
  static PRECIS_FUNCTION float value(uint32_t bits) { return bits_as<float>(bits); }
};
template <>
struct Dtype<Half> {
  static constexpr float eps = 0x1p-10f, tiny = 0x1p-14f;
  static constexpr uint32_t mantissa = 10;
  static PRECIS_FUNCTION uint32_t bits(float value) { return half_bits(value); }
  static PRECIS_FUNCTION float value(uint32_t bits) {
    return half_value(static_cast<uint16_t>(bits));
  }
};
template <>
struct Dtype<BFloat16> {
  static constexpr float eps = 0x1p-7f, tiny = 0x1p-126f;
  static constexpr uint32_t mantissa = 7;
  static PRECIS_FUNCTION uint32_t bits(float value) { return bfloat16_bits(value); }
  static PRECIS_FUNCTION float value(uint32_t bits) { return bits_as<float>(bits << 16); }
};

// MX's exponent: of the power of two that absmax is nearest to from below, with a mantissa that
// would round beyond the largest number taken as the next power.
template <class Element>
PRECIS_FUNCTION uint32_t exponent_of(NarrowType type, float absmax) {
  constexpr uint32_t kMantissa = Dtype<Element>::mantissa;
  const uint32_t kept = type == NarrowType::float6_e2m3 ? 3 : 1;
  const uint32_t bits = Dtype<Element>::bits(absmax) + (1u << (kMantissa - kept - 1));
  const float power = Dtype<Element>::value(bits >> kMantissa << kMantissa);
  if (!(power > 0)) return 0;
  const int biased = static_cast<int>(bits_as<uint32_t>(power) >> 23);  // 255: infinite
  const int exponent = biased - (type == NarrowType::float8_e4m3fn ? 8 : 2);
  return static_cast<uint32_t>(exponent < 0 ? 0 : exponent);
}

// The power of two that a weight of this dtype is divided by: one that it does not reach is 1.
template <class Element>
PRECIS_FUNCTION float divisor_of(uint32_t exponent) {
  const float power = round_to(kRoundingTo<Element>, e8m0_value(exponent));
  return power == 0 ? 1.0f : power;
}

// The exponent of ScaleRule::exponent_ceiling, at or above 0: that of 2^-127, which 11 units of a
// subnormal above it count as.
PRECIS_FUNCTION uint32_t exponent_ceiling(float ratio) {
  if (!is_finite(ratio)) return 255;
  if (ratio < 0x1p-126f) return bits_as<uint32_t>(ratio) > 0x00400000u + 11 ? 1 : 0;
  return exponent_not_below(ratio);
}

struct TileScale {
  float scale, zero;
};

// ScaleRule::own and own_reciprocal.
template <class Element>
PRECIS_FUNCTION TileScale own_scale(const ScaledKernelEncoding& encoding, ValueRange range) {
  constexpr Rounding kType = kRoundingTo<Element>;
  TileScale tile{0, 0};
  if (encoding.symmetric) {
    tile.scale = round_to(kType, absmax_of(range) / encoding.largest);
  } else {
    const auto levels = static_cast<float>((1 << encoding.bits) - 1);
    const float lowest = -static_cast<float>(1 << (encoding.bits - 1));
    tile.scale = round_to(kType, round_to(kType, range.high - range.low) / levels);
    const float zero = round_to(kType, lowest - round_to(kType, range.low / tile.scale));
    tile.zero = zero == zero ? nearest_even(clamped(zero, lowest, lowest + levels)) : 0.0f;
  }
  const bool reciprocal = encoding.rule == ScaleRule::own_reciprocal;
  if (tile.scale == 0) tile.scale = reciprocal ? Dtype<float>::eps : Dtype<Element>::eps;
  return tile;
}

// The scale of a whole weight, of its largest magnitude.
template <class Element>
PRECIS_FUNCTION float scale_of_whole(const ScaledKernelEncoding& encoding, float absmax) {
  constexpr Rounding kType = kRoundingTo<Element>;
  if (encoding.rule == ScaleRule::two_levels_product)
    return absmax == 0 ? 1.0f : absmax / encoding.whole_divisor;
  const float floor = absmax < Dtype<Element>::tiny ? Dtype<Element>::tiny : absmax;
  // In two roundings: torch divides a number by a tensor by way of the reciprocal.
  const float scale = round_to(kType, round_to(kType, 1.0f / floor) * (448.0f * 6.0f));
  return is_finite(scale) ? scale : 1.0f;
}

// The stored byte of a scale that is one.
template <class Element>
PRECIS_FUNCTION uint32_t scale_byte(const ScaledKernelEncoding& encoding, float absmax,
                                    float whole) {
  switch (encoding.rule) {
    case ScaleRule::two_levels: {
      const float wanted = whole * round_to(kRoundingTo<Element>, absmax / 6.0f);
      const uint32_t code = e4m3fn_code(wanted > 448.0f ? 448.0f : wanted);
      return code == 0 ? 0x20 : code;  // an eighth
    }
    case ScaleRule::two_levels_product: {
      const float wanted = absmax / (6.0f * whole);
      if (wanted != wanted) return 0x7f;
      return e4m3fn_code(wanted == 0 ? 1.0f : clamped(wanted, 0x1p-9f, 448.0f));
    }
    case ScaleRule::exponent_above:
      return (bits_as<uint32_t>(absmax / 6.0f) + 0x7fffffu) >> 23;
    case ScaleRule::exponent_ceiling:
      return exponent_ceiling(absmax / encoding.largest);
    default:
      break;
  }
  // What the scale is once it went through the weight's dtype; that of 2^-127 is subnormal.
  return bits_as<uint32_t>(divisor_of<Element>(exponent_of<Element>(encoding.type, absmax))) >> 23;
}

PRECIS_FUNCTION bool stores_bytes(ScaleRule rule) {
  return rule != ScaleRule::own && rule != ScaleRule::own_reciprocal && rule != ScaleRule::float32;
}

// What the numbers of a tile are divided by, of its stored scale.
template <class Element>
PRECIS_FUNCTION float stored_divisor(const ScaledKernelEncoding& encoding, const void* scales,
                                     uint64_t tile, float whole) {
  if (!stores_bytes(encoding.rule))
    return encoding.float_scales || encoding.rule == ScaleRule::float32
               ? static_cast<const float*>(scales)[tile]
               : to_float(static_cast<const Element*>(scales)[tile]);
  const uint32_t code = static_cast<const uint8_t*>(scales)[tile];
  switch (encoding.rule) {
    case ScaleRule::two_levels:
      return e4m3fn_value(code) / whole;
    case ScaleRule::two_levels_product:
      return e4m3fn_value(code) * whole;
    case ScaleRule::exponent_ceiling:
      return e8m0_value(code);
    case ScaleRule::exponent_above:
      return bits_as<float>(code == 0 ? 0x7f800000u : code << 23);
    default:
      return divisor_of<Element>(code);
  }
}

}  // namespace precis::kernels::PRECIS_DEVICE
