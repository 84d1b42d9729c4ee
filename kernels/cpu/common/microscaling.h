// The number formats of Microscaling (OCP MX v1.0) below 8 bits, and its scales.
//
// Rounded to nearest, ties to even, saturating, as compressed-tensors 0.20 casts
// (quantization/utils/fp4_utils.py, fp6_utils.py).
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// E2M1: sign, two bits of exponent, one of mantissa.
inline constexpr float kFloat4E2M1[16] = {0.0f,  0.5f,  1.0f,  1.5f,  2.0f,  3.0f,  4.0f,  6.0f,
                                          -0.0f, -0.5f, -1.0f, -1.5f, -2.0f, -3.0f, -4.0f, -6.0f};

// A negative number that rounds to zero keeps its sign; -0.0 and NaN give 0.
inline uint8_t float_to_float4_e2m1(float value) {
  const float magnitude = value < 0 ? -value : value;
  const int code = (magnitude > 0.25f) + (magnitude >= 0.75f) + (magnitude > 1.25f) +
                   (magnitude >= 1.75f) + (magnitude > 2.5f) + (magnitude >= 3.5f) +
                   (magnitude > 5.0f);
  return static_cast<uint8_t>(code | (value < 0 ? 8 : 0));
}

// The same with ties away from zero, and with the sign of every zero: the cast of Triton's kernels
// (triton_kernels, numerics_details/mxfp.py).
inline uint8_t float_to_float4_e2m1_away(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const float magnitude = std::bit_cast<float>(bits & 0x7fffffffu);
  const int code = (magnitude >= 0.25f) + (magnitude >= 0.75f) + (magnitude >= 1.25f) +
                   (magnitude >= 1.75f) + (magnitude >= 2.5f) + (magnitude >= 3.5f) +
                   (magnitude >= 5.0f);
  return static_cast<uint8_t>(code | static_cast<int>(bits >> 28 & 8u));
}

// The same with ties toward zero, and with a sign on every zero: ModelOpt's cast of MXFP4
// (torch/quantization/qtensor/mxfp4_tensor.py).
inline uint8_t float_to_float4_e2m1_toward_zero(float value) {
  const float magnitude = value < 0 ? -value : value;
  const int code = (magnitude > 0.25f) + (magnitude > 0.75f) + (magnitude > 1.25f) +
                   (magnitude > 1.75f) + (magnitude > 2.5f) + (magnitude > 3.5f) +
                   (magnitude > 5.0f);
  return static_cast<uint8_t>(code | (value > 0 ? 0 : 8));
}

// E2M3: sign, two bits of exponent, three of mantissa.
inline float float6_e2m3_to_float(uint8_t code) {
  const int exponent = (code >> 3) & 3, mantissa = code & 7;
  const float magnitude = exponent == 0 ? static_cast<float>(mantissa) * 0.125f
                                        : static_cast<float>((8 + mantissa) << exponent) * 0.0625f;
  return (code & 0x20) != 0 ? -magnitude : magnitude;
}

inline uint8_t float_to_float6_e2m3(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint8_t sign = static_cast<uint8_t>(bits >> 26 & 0x20u);
  const uint32_t clamped = (bits & 0x7fffffffu) > 0x40f00000u ? 0x40f00000u : bits & 0x7fffffffu;
  const int exponent = static_cast<int>(clamped >> 23) - 127;
  const int step = exponent < 0 ? 0 : exponent;  // multiples of 2^(step - 3)
  const float scaled = std::bit_cast<float>(clamped) *
                       std::bit_cast<float>(static_cast<uint32_t>(127 + 3 - step) << 23);
  const int units = static_cast<int>((scaled + 12582912.0f) - 12582912.0f);
  return static_cast<uint8_t>(sign | (8 * step + units));
}

// E8M0: a power of two by its biased exponent. 255, the NaN of the standard, gives infinity, as the
// Python libraries compute it.
inline float float8_e8m0_to_float(uint8_t exponent) {
  return exponent == 0 ? 0x1p-127f : std::bit_cast<float>(static_cast<uint32_t>(exponent) << 23);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
