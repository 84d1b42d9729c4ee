// Conversions between float32 and the 8-bit floating-point formats E4M3FN and E5M2.
//
// "FP8 Formats for Deep Learning" (arXiv 2209.05433), rounded to nearest, ties to even, as
// PyTorch 2.13 casts (c10/util/Float8_e4m3fn.h, Float8_e5m2.h): nothing saturates; E4M3FN overflows
// to NaN, E5M2 to infinity.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/cpu/common/float_formats.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline float float8_e4m3fn_to_float(uint8_t value) {
  const uint32_t sign = static_cast<uint32_t>(value & 0x80u) << 24;
  const uint32_t exponent = (value >> 3) & 15u;
  const uint32_t mantissa = value & 7u;
  if (exponent == 15 && mantissa == 7) return std::bit_cast<float>(sign | 0x7ff00000u);
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-9f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 120u) << 23) | (mantissa << 20));
}

inline uint8_t float_to_float8_e4m3fn(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint8_t sign = static_cast<uint8_t>((bits >> 24) & 0x80u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude >= (1087u << 20))
    return static_cast<uint8_t>(sign | 0x7fu);  // 480: beyond rounding to 448
  if (magnitude < (121u << 23)) {
    // Below the smallest normal number 2^-6: adding 2^14 leaves multiples of 2^-9 in the low bits.
    const float shifted = std::bit_cast<float>(magnitude) + 16384.0f;
    return static_cast<uint8_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x46800000u));
  }
  const uint32_t rounded = magnitude + 0x7ffffu + ((magnitude >> 20) & 1u);
  const uint32_t code = (rounded >> 20) - (120u << 3);
  return static_cast<uint8_t>(sign | (code > 0x7eu ? 0x7fu : code));
}

inline float float8_e5m2_to_float(uint8_t value) {
  return half_to_float(static_cast<uint16_t>(value << 8));
}

inline uint8_t float_to_float8_e5m2(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint8_t sign = static_cast<uint8_t>((bits >> 24) & 0x80u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint8_t>(sign | 0x7fu);
  if (magnitude >= (143u << 23)) return static_cast<uint8_t>(sign | 0x7cu);  // 65536
  if (magnitude < (113u << 23)) {
    const float shifted = std::bit_cast<float>(magnitude) + 128.0f;
    return static_cast<uint8_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x43000000u));
  }
  const uint32_t rounded = magnitude + 0xfffffu + ((magnitude >> 21) & 1u);
  return static_cast<uint8_t>(sign | ((rounded >> 21) - (112u << 2)));
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
