// Encoding to GGUF's types in blocks of 64, bit for bit as kernels/cpu/gguf.
#pragma once

#include "kernels/device/float8_numbers.h"
#include "kernels/device/quantize_gguf.h"
#include "kernels/device/quantize_gguf_values.h"

namespace precis::kernels::PRECIS_DEVICE {

// -1, 0 and 1 times the largest magnitude of 64, in two bits each.
struct EncodeQ2_0 : EncodeValues<64, 16> {
  static constexpr uint32_t kBytes = 18;
  static PRECIS_FUNCTION GgufFound search(const float (&x)[16], uint32_t (&codes)[16]) {
    return EncodeTernary::search(x, codes);
  }
  static PRECIS_FUNCTION GgufStored scales(const GgufFound& found, uint32_t sub, Codes& block) {
    const float d = largest_of_lanes<4>(found.scale);
    if (sub == 0) block.scale = half_bits(d);
    return {d != 0 ? 1.0f / d : 0.0f, 0};
  }
  // The inverse of a subnormal scale may be infinite: what no integer holds has code 0.
  static PRECIS_FUNCTION int code(float x, const GgufStored& stored) {
    return magnitude_of(x * stored.scale) < 128.0f ? EncodeTernary::code(x, stored) : 0;
  }
  static PRECIS_FUNCTION uint32_t byte(const Codes& block, uint32_t i) {
    return i < 2 ? block.scale_byte(i) : block.planes(4 * (i - 2), 1, 4, 0, 2);
  }
};

// The nearest number of float8_e4m3fn without a sign, ties away from zero; 448 for what would be
// 256 or more.
PRECIS_FUNCTION uint32_t nearest_ue4m3(float x) {
  if (!(x > 0)) return 0;
  const uint32_t bits = bits_as<uint32_t>(x < 256.0f ? x : 256.0f);
  if (bits < 121u << 23) {
    const int steps = static_cast<int>(x * 512.0f + 0.5f);
    return static_cast<uint32_t>(steps > 7 ? 7 : steps);
  }
  const uint32_t code = ((bits + (1u << 19)) >> 20) - (120u << 3);
  return code < 0x78u ? code : 0x7eu;
}

// Sixteen of E2M1's numbers with a scale of their own; four times in a block.
struct EncodeNvFp4 : EncodeValues<64, 16> {
  static constexpr uint32_t kBytes = 36;
  static PRECIS_FUNCTION GgufFound search(const float (&x)[16], uint32_t (&codes)[16]) {
    PRECIS_UNROLL
    for (uint32_t i = 0; i < 16; ++i) codes[i] = 0;
    return {magnitude_of(signed_largest(x)), 0};
  }
  static PRECIS_FUNCTION GgufStored scales(const GgufFound& found, uint32_t sub, Codes& block) {
    const uint32_t scale = nearest_ue4m3(found.scale / 6.0f);
    block.scales[sub] = static_cast<uint8_t>(scale);
    // Half of the scale, since the numbers are doubled.
    return {e4m3fn_value(scale) * 0.5f, 0};
  }
  static PRECIS_FUNCTION int code(float x, const GgufStored& stored) {
    return static_cast<int>(nearest_fp4(x, stored.scale));
  }
  static PRECIS_FUNCTION uint32_t byte(const Codes& block, uint32_t i) {
    return i < 4 ? block.scales[i] : block.planes((i - 4) / 8 * 16 + (i - 4) % 8, 8, 2, 0, 4);
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
