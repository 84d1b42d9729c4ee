// The 8-bit floating-point formats E4M3FN and E5M2 on a device, bit for bit as
// kernels/cpu/common/float8.h converts them.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

struct E4M3 {
  uint8_t bits;
};

// A format as decoders need it: a code's magnitude, moved by `shift`, is that of a float16 whose
// value times `factor` is the code's. Only the NaNs of E4M3FN, the code `nan`, are not among them.
struct Float8Codes {
  uint32_t shift, nan;
  float factor;
};
inline constexpr Float8Codes kE4M3FNCodes{7, 0x7f, 256.0f};
inline constexpr Float8Codes kE5M2Codes{8, 0xff, 1.0f};  // 0xff: no code without its sign

PRECIS_FUNCTION float float8_value(const Float8Codes& codes, uint32_t code) {
  const uint32_t magnitude = code & 0x7fu;
  const uint32_t half = (code & 0x80u) << 8 | magnitude << codes.shift;
  const float value = half_value(static_cast<uint16_t>(half)) * codes.factor;
  return magnitude == codes.nan ? bits_as<float>(0x7fc00000u) : value;
}

// The four codes of a word.
PRECIS_FUNCTION void float8_values(const Float8Codes& codes, uint32_t word, float* values) {
#if PRECIS_HAS_FLOAT8
  uint32_t halves[2];
  if (codes.shift == kE5M2Codes.shift) {
    // Its codes are the upper bytes of float16's numbers.
    halves[0] = (word & 0xffu) << 8 | (word & 0xff00u) << 16;
    halves[1] = (word >> 8 & 0xff00u) | (word & 0xff000000u);
  } else {
    halves[0] = half_pair_of_e4m3fn(word & 0xffffu);
    halves[1] = half_pair_of_e4m3fn(word >> 16);
  }
  unpack<Half>(halves[0], values[0], values[1]);
  unpack<Half>(halves[1], values[2], values[3]);
#else
  PRECIS_UNROLL
  for (unsigned i = 0; i < 4; ++i) values[i] = float8_value(codes, byte_of(word, i));
#endif
}

PRECIS_FUNCTION float e4m3fn_value(uint32_t code) {
  constexpr Float8Codes kCodes{7, 0x7f, 256.0f};
  return float8_value(kCodes, code);
}

// The biased exponent of the power of two that is not below a normal number. The logarithm is
// rounded to float32 before it is rounded up, as torch has it: so much above 2^e counts as 2^e.
PRECIS_FUNCTION uint32_t exponent_not_below(float normal) {
  const uint32_t bits = bits_as<uint32_t>(normal), mantissa = bits & 0x7fffffu;
  const int exponent = static_cast<int>(bits >> 23) - 127;
  // Half the distance from e to the next float32 above it is 2^(j - 24), j the exponent of e, or
  // one less where e is the negative of a power of two.
  const uint32_t magnitude = static_cast<uint32_t>(exponent < 0 ? -exponent - 1 : exponent);
  uint32_t as_two = magnitude >= 4 ? 1 : 0;  // ln 2 * 2^(j - 1), in units of the mantissa
  as_two = magnitude >= 8 ? 2 : as_two;
  as_two = magnitude >= 16 ? 5 : as_two;
  as_two = magnitude >= 32 ? 11 : as_two;
  as_two = magnitude >= 64 ? 22 : as_two;
  return (bits >> 23) + (mantissa > as_two ? 1u : 0u);
}

// A format as encoders need it. Nothing saturates: beyond the largest number comes `overflow`.
struct Float8Encoder {
  uint32_t dropped;          // bits that the mantissa of a float32 loses
  uint32_t smallest_normal;  // as float32 bits
  uint32_t shifter;  // float32 bits: adding it leaves a subnormal's mantissa in the low bits
  uint32_t bias;     // by how much exponents are smaller, in units of the last code bit
  uint32_t largest, overflow;
};
inline constexpr Float8Encoder kE4M3FNEncoder{20, 121u << 23, 0x46800000u, 120u << 3, 0x7e, 0x7f};
inline constexpr Float8Encoder kE5M2Encoder{21, 113u << 23, 0x43000000u, 112u << 2, 0x7b, 0x7c};

// The nearest code, ties to even; 0x7f with its sign for NaN.
PRECIS_FUNCTION uint8_t float8_code(const Float8Encoder& encoder, float value) {
  const uint32_t bits = bits_as<uint32_t>(value);
  const uint32_t sign = (bits >> 24) & 0x80u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint8_t>(sign | 0x7fu);
  if (magnitude < encoder.smallest_normal) {
    const float shifted = bits_as<float>(magnitude) + bits_as<float>(encoder.shifter);
    return static_cast<uint8_t>(sign | (bits_as<uint32_t>(shifted) - encoder.shifter));
  }
  const uint32_t odd = (magnitude >> encoder.dropped) & 1u;
  const uint32_t rounded = magnitude + ((1u << (encoder.dropped - 1)) - 1u) + odd;
  const uint32_t code = (rounded >> encoder.dropped) - encoder.bias;
  return static_cast<uint8_t>(sign | (code > encoder.largest ? encoder.overflow : code));
}

PRECIS_FUNCTION uint32_t e4m3fn_code(float value) {
  constexpr Float8Encoder kEncoder = kE4M3FNEncoder;
  return float8_code(kEncoder, value);
}

}  // namespace precis::kernels::PRECIS_DEVICE
