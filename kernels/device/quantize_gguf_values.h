// Encoding to GGUF's types of uneven and of ternary values, bit for bit as kernels/cpu/gguf without
// an importance matrix.
#pragma once

#include "kernels/device/gguf_sub_blocks.h"

namespace precis::kernels::PRECIS_DEVICE {

// IQ4's values; a code is the number of midpoints that are not above the value.
PRECIS_FUNCTION float iq4_value(uint32_t code) {
  constexpr int kValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};
  return static_cast<float>(kValues[code]);
}
PRECIS_FUNCTION float iq4_midpoint(uint32_t code) {
  return (iq4_value(code) + iq4_value(code + 1)) * 0.5f;
}
PRECIS_FUNCTION uint32_t iq4_code(float x) {
  uint32_t code = 0;
  PRECIS_UNROLL
  for (uint32_t i = 0; i < 15; ++i) code += x < iq4_midpoint(i) ? 0u : 1u;
  return code;
}
PRECIS_FUNCTION float nearest_iq4(float x) {
  float value = iq4_value(0);
  PRECIS_UNROLL
  for (uint32_t i = 0; i < 15; ++i)
    value += x < iq4_midpoint(i) ? 0.0f : iq4_value(i + 1) - iq4_value(i);
  return value;
}

// The scale of 32 values. Bound by arithmetic: 16 scales are tried at about 40 operations a weight.
PRECIS_FUNCTION float fit_iq4(const float (&x)[32]) {
  const float largest = signed_largest(x);
  if (magnitude_of(largest) < kNoScale) return 0;
  float x_sum = 0, square_sum = 0;
  const auto add_up = [&](float inverse) {
    x_sum = square_sum = 0;
    PRECIS_UNROLL
    for (int i = 0; i < 32; ++i) {
      const float value = nearest_iq4(inverse * x[i]), w = x[i] * x[i];
      x_sum += w * value * x[i];
      square_sum += w * value * value;
    }
  };
  add_up(1 / (-largest / iq4_value(0)));
  float scale = square_sum > 0 ? x_sum / square_sum : 0.0f;
  float best = scale * x_sum;
  for (int attempt = -7; attempt <= 7; ++attempt) {
    add_up((static_cast<float>(attempt) + iq4_value(0)) / largest);
    if (square_sum > 0 && x_sum * x_sum > best * square_sum) {
      scale = x_sum / square_sum;
      best = scale * x_sum;
    }
  }
  return scale;
}

// What all of these share: codes follow from the scale alone.
template <uint32_t Elements, uint32_t Size>
struct EncodeValues {
  static constexpr uint32_t kElements = Elements, kSize = Size;
  using Codes = GgufBlockCodes<Elements, Size>;
};

struct EncodeIq4Nl : EncodeValues<32, 32> {
  static constexpr uint32_t kBytes = 18;
  static PRECIS_FUNCTION GgufFound search(const float (&x)[32], uint32_t (&codes)[32]) {
    PRECIS_UNROLL
    for (uint32_t i = 0; i < 32; ++i) codes[i] = 8;  // of 0
    return {fit_iq4(x), 0};
  }
  static PRECIS_FUNCTION GgufStored scales(const GgufFound& found, uint32_t, Codes& block) {
    block.scale = half_bits(found.scale);
    return {found.scale == 0 ? 0.0f : 1 / found.scale, 0};
  }
  static PRECIS_FUNCTION int code(float x, const GgufStored& stored) {
    return static_cast<int>(iq4_code(stored.scale * x));
  }
  static PRECIS_FUNCTION uint32_t byte(const Codes& block, uint32_t i) {
    return i < 2 ? block.scale_byte(i) : block.planes(i - 2, 16, 2, 0, 4);
  }
};

// Eight sub-blocks of 32 with signed 6-bit scales.
struct EncodeIq4Xs : EncodeValues<256, 32> {
  static constexpr uint32_t kBytes = 136;
  static PRECIS_FUNCTION GgufFound search(const float (&x)[32], uint32_t (&codes)[32]) {
    return EncodeIq4Nl::search(x, codes);
  }
  static PRECIS_FUNCTION GgufStored scales(const GgufFound& found, uint32_t sub, Codes& block) {
    const float d = -signed_largest_of_lanes<8>(found.scale) / 32;
    const int code = clamp_int(nearest_int((d != 0 ? 1 / d : 0.0f) * found.scale), -32, 31);
    const float scale = d * static_cast<float>(code);
    block.scales[sub] = static_cast<uint8_t>(code + 32);
    if (sub == 0) block.scale = half_bits(d);
    return {scale != 0 ? 1 / scale : 0.0f, 0};
  }
  static PRECIS_FUNCTION int code(float x, const GgufStored& stored) {
    return EncodeIq4Nl::code(x, stored);
  }
  static PRECIS_FUNCTION uint32_t byte(const Codes& block, uint32_t i) {
    if (i < 2) return block.scale_byte(i);
    if (i < 4) {
      uint32_t high = 0;
      for (uint32_t k = 0; k < 4; ++k) high |= (block.scales[4 * (i - 2) + k] >> 4) << (2 * k);
      return high;
    }
    if (i < 8)
      return (block.scales[2 * (i - 4)] & 15u) | (block.scales[2 * (i - 4) + 1] & 15u) << 4;
    return block.planes((i - 8) / 16 * 32 + (i - 8) % 16, 16, 2, 0, 4);
  }
};

// -1, 0 and 1 times the largest magnitude.
struct EncodeTernary : EncodeValues<256, 16> {
  static PRECIS_FUNCTION GgufFound search(const float (&x)[16], uint32_t (&codes)[16]) {
    PRECIS_UNROLL
    for (uint32_t i = 0; i < 16; ++i) codes[i] = 1;  // of 0
    return {magnitude_of(signed_largest(x)), 0};
  }
  static PRECIS_FUNCTION GgufStored scales(const GgufFound& found, uint32_t sub, Codes& block) {
    const float d = largest_of_lanes<16>(found.scale);
    if (sub == 0) block.scale = half_bits(d);
    return {d != 0 ? 1.0f / d : 0.0f, 0};
  }
  // Half away from zero.
  static PRECIS_FUNCTION int code(float x, const GgufStored& stored) {
    const float steps = x * stored.scale;
    return magnitude_of(steps) >= 0.5f ? (steps < 0 ? 0 : 2) : 1;
  }
};

// Five of them a byte.
struct EncodeTq1_0 : EncodeTernary {
  static constexpr uint32_t kBytes = 54;
  static PRECIS_FUNCTION uint32_t byte(const Codes& block, uint32_t i) {
    if (i >= 52) return block.scale_byte(i - 52);
    if (i >= 48) return five(block, 240 + i - 48, 4, 4);
    return i < 32 ? five(block, i, 32, 5) : five(block, 160 + i - 32, 16, 5);
  }

 private:
  static PRECIS_FUNCTION uint32_t five(const Codes& block, uint32_t first, uint32_t step,
                                       uint32_t count) {
    uint32_t value = 0;
    for (uint32_t n = 0; n < 5; ++n)
      value = value * 3 + (n < count ? block.codes[first + n * step] : 0u);
    return (value * 256 + 242) / 243;
  }
};

// Four of them a byte.
struct EncodeTq2_0 : EncodeTernary {
  static constexpr uint32_t kBytes = 66;
  static PRECIS_FUNCTION uint32_t byte(const Codes& block, uint32_t i) {
    return i < 64 ? block.planes(i / 32 * 128 + i % 32, 32, 4, 0, 2) : block.scale_byte(i - 64);
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
