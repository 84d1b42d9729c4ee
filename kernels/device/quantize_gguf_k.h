// Encoding to GGUF's K-quants, bit for bit as kernels/cpu/gguf without an importance matrix. Bound
// by arithmetic: up to 19 scales are tried for every sub-block, at about 20 operations a weight and
// scale.
#pragma once

#include "kernels/device/gguf_sub_blocks.h"

namespace precis::kernels::PRECIS_DEVICE {

// Sixteen sub-blocks of 16 with 4-bit scales and minima.
struct EncodeQ2K {
  static constexpr uint32_t kElements = 256, kSize = 16, kBytes = 84;
  using Codes = GgufBlockCodes<kElements, kSize>;

  static PRECIS_FUNCTION GgufFound search(const float (&x)[kSize], uint32_t (&codes)[kSize]) {
    const SubBlockFit fit =
        fit_with_minimum<3, true>(x, -0.5f, 15, [&](int i) { return magnitude_of(x[i]); });
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kSize; ++i) codes[i] = static_cast<uint32_t>(fit.code<3>(x[i]));
    return {fit.scale, fit.minimum};
  }
  static PRECIS_FUNCTION GgufStored scales(const GgufFound& found, uint32_t sub, Codes& block) {
    const float top_scale = largest_of_lanes<16>(found.scale),
                top_minimum = largest_of_lanes<16>(found.minimum);
    const uint32_t scale = four_bits(found.scale, top_scale),
                   minimum = four_bits(found.minimum, top_minimum);
    const uint16_t d = half_bits(top_scale > 0 ? top_scale / 15.0f : 0.0f),
                   dmin = half_bits(top_minimum > 0 ? top_minimum / 15.0f : 0.0f);
    block.scales[sub] = static_cast<uint8_t>(scale | minimum << 4);
    if (sub == 0) {
      block.scale = d;
      block.minimum = dmin;
    }
    return {half_value(d) * static_cast<float>(scale),
            half_value(dmin) * static_cast<float>(minimum)};
  }
  static PRECIS_FUNCTION int code(float x, const GgufStored& stored) {
    return code_in_steps(x, stored, 0, 3);
  }
  static PRECIS_FUNCTION uint32_t byte(const Codes& block, uint32_t i) {
    if (i < 16) return block.scales[i];
    if (i < 80) return block.planes((i - 16) / 32 * 128 + (i - 16) % 32, 32, 4, 0, 2);
    return i < 82 ? block.scale_byte(i - 80) : block.minimum_byte(i - 82);
  }

 private:
  static PRECIS_FUNCTION uint32_t four_bits(float value, float top) {
    return top > 0 ? static_cast<uint32_t>(nearest_int(15.0f / top * value)) & 0xffu : 0u;
  }
};

// Sixteen sub-blocks of 16 with signed 6-bit scales; the third bit of a code stands in a mask.
struct EncodeQ3K {
  static constexpr uint32_t kElements = 256, kSize = 16, kBytes = 110;
  using Codes = GgufBlockCodes<kElements, kSize>;

  // ggml's make_q3_quants: codes are moved one by one as long as that helps.
  static PRECIS_FUNCTION GgufFound search(const float (&x)[kSize], uint32_t (&codes)[kSize]) {
    const float largest = signed_largest(x);
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kSize; ++i) codes[i] = 0;
    if (magnitude_of(largest) < kNoScale) return {0, 0};
    const float inverse_scale = -4.0f / largest;
    float x_code_sum = 0, code_square_sum = 0;
    const auto add = [&](uint32_t i, float code, float& x_codes, float& squares) {
      const float w = x[i] * x[i];
      x_codes += w * x[i] * code;
      squares += w * code * code;
    };
    const auto code_of = [&](uint32_t i) { return static_cast<float>(static_cast<int>(codes[i])); };
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kSize; ++i) {
      codes[i] = static_cast<uint32_t>(clamp_int(nearest_int(inverse_scale * x[i]), -4, 3));
      add(i, code_of(i), x_code_sum, code_square_sum);
    }
    for (int attempt = 0; attempt < 5; ++attempt) {
      bool changed = false;
      PRECIS_UNROLL
      for (uint32_t i = 0; i < kSize; ++i) {
        const float w = x[i] * x[i], old = code_of(i);
        float x_codes = x_code_sum - w * x[i] * old;
        if (x_codes <= 0) continue;
        float squares = code_square_sum - w * old * old;
        const int code = clamp_int(nearest_int(x[i] * squares / x_codes), -4, 3);
        if (code == static_cast<int>(codes[i])) continue;
        add(i, static_cast<float>(code), x_codes, squares);
        if (squares > 0 &&
            x_codes * x_codes * code_square_sum > x_code_sum * x_code_sum * squares) {
          codes[i] = static_cast<uint32_t>(code);
          x_code_sum = x_codes;
          code_square_sum = squares;
          changed = true;
        }
      }
      if (!changed) break;
    }
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kSize; ++i) codes[i] += 4;
    return {code_square_sum > 0 ? x_code_sum / code_square_sum : 0.0f, 0};
  }
  static PRECIS_FUNCTION GgufStored scales(const GgufFound& found, uint32_t sub, Codes& block) {
    const float largest = signed_largest_of_lanes<16>(found.scale);
    const float inverse = -32.0f / largest;
    const int code = largest == 0 ? 0 : clamp_int(nearest_int(inverse * found.scale), -32, 31) + 32;
    const uint16_t d = half_bits(largest == 0 ? 0.0f : 1.0f / inverse);
    block.scales[sub] = static_cast<uint8_t>(code);
    if (sub == 0) block.scale = d;
    return {half_value(d) * static_cast<float>(code - 32), 0};
  }
  static PRECIS_FUNCTION int code(float x, const GgufStored& stored) {
    return code_in_steps(x, stored, -4, 3);
  }
  static PRECIS_FUNCTION uint32_t byte(const Codes& block, uint32_t i) {
    if (i < 32) return block.planes(i, 32, 8, 2, 1);
    if (i < 96) return block.planes((i - 32) / 32 * 128 + i % 32, 32, 4, 0, 2);
    if (i >= 108) return block.scale_byte(i - 108);
    const uint32_t k = i - 96;
    if (k < 8) return (block.scales[k] & 15u) | (block.scales[k + 8] & 15u) << 4;
    uint32_t high = 0;
    for (uint32_t m = 0; m < 4; ++m) high |= (block.scales[k - 8 + 4 * m] >> 4 & 3u) << (2 * m);
    return high;
  }
};

// Eight sub-blocks of 32 with 6-bit scales and minima.
struct EncodeQ5K {
  static constexpr uint32_t kElements = 256, kSize = 32, kBytes = 176;
  using Codes = GgufBlockCodes<kElements, kSize>;

  static PRECIS_FUNCTION GgufFound search(const float (&x)[kSize], uint32_t (&codes)[kSize]) {
    const SubBlockFit fit = fit_sub_block<31>(x);
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kSize; ++i) codes[i] = static_cast<uint32_t>(fit.code<31>(x[i]));
    return {fit.scale, fit.minimum};
  }
  static PRECIS_FUNCTION GgufStored scales(const GgufFound& found, uint32_t sub, Codes& block) {
    const float top_scale = largest_of_lanes<8>(found.scale),
                top_minimum = largest_of_lanes<8>(found.minimum);
    const uint32_t scale = six_bit_code(found.scale, top_scale),
                   minimum = six_bit_code(found.minimum, top_minimum);
    const uint16_t d = half_bits(top_scale / 63.0f), dmin = half_bits(top_minimum / 63.0f);
    block.scales[sub] = static_cast<uint8_t>(scale);
    block.minimums[sub] = static_cast<uint8_t>(minimum);
    if (sub == 0) {
      block.scale = d;
      block.minimum = dmin;
    }
    return {half_value(d) * static_cast<float>(scale),
            half_value(dmin) * static_cast<float>(minimum)};
  }
  static PRECIS_FUNCTION int code(float x, const GgufStored& stored) {
    return code_in_steps(x, stored, 0, 31);
  }
  static PRECIS_FUNCTION uint32_t byte(const Codes& block, uint32_t i) {
    if (i < 4) return i < 2 ? block.scale_byte(i) : block.minimum_byte(i - 2);
    if (i < 8) return block.scales[i - 4] | (block.scales[i] >> 4) << 6;
    if (i < 12) return block.minimums[i - 8] | (block.minimums[i - 4] >> 4) << 6;
    if (i < 16) return (block.scales[i - 8] & 15u) | (block.minimums[i - 8] & 15u) << 4;
    if (i < 48) return block.planes(i - 16, 32, 8, 4, 1);
    return block.planes((i - 48) / 32 * 64 + (i - 48) % 32, 32, 2, 0, 4);
  }
};

// Sixteen sub-blocks of 16 with signed 8-bit scales.
struct EncodeQ6K {
  static constexpr uint32_t kElements = 256, kSize = 16, kBytes = 210;
  using Codes = GgufBlockCodes<kElements, kSize>;

  static PRECIS_FUNCTION GgufFound search(const float (&x)[kSize], uint32_t (&codes)[kSize]) {
    const SymmetricFit fit = fit_symmetric<32>(x);
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kSize; ++i) {
      const int code = clamp_int(nearest_int(fit.inverse_scale * x[i]), -32, 31) + 32;
      codes[i] = fit.inverse_scale == 0 ? 0u : static_cast<uint32_t>(code);
    }
    return {fit.scale, 0};
  }
  static PRECIS_FUNCTION GgufStored scales(const GgufFound& found, uint32_t sub, Codes& block) {
    const float largest = signed_largest_of_lanes<16>(found.scale);
    // A block of next to nothing is all zeros.
    const bool none = magnitude_of(largest) < kNoScale;
    const float inverse = -128.0f / largest;
    const int code = none ? 0 : clamp_int(nearest_int(inverse * found.scale), -128, 127);
    const uint16_t d = half_bits(none ? 0.0f : 1.0f / inverse);
    block.scales[sub] = static_cast<uint8_t>(code);
    if (sub == 0) block.scale = d;
    return {half_value(d) * static_cast<float>(code), 0, none};
  }
  static PRECIS_FUNCTION int code(float x, const GgufStored& stored) {
    return code_in_steps(x, stored, -32, 31);
  }
  static PRECIS_FUNCTION uint32_t byte(const Codes& block, uint32_t i) {
    if (i < 128) return block.planes(i / 64 * 128 + i % 64, 64, 2, 0, 4);
    if (i < 192) return block.planes((i - 128) / 32 * 128 + i % 32, 32, 4, 4, 2);
    return i < 208 ? block.scales[i - 192] : block.scale_byte(i - 208);
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
