// Blocks with one scale, or two (nvfp4 has four).
#pragma once

#include "kernels/device/formats/gguf_run.h"
#include "kernels/device/gguf.h"

namespace precis::kernels::PRECIS_DEVICE {

// Byte j of 16 holds elements j and j + 16.
PRECIS_FUNCTION Words2 nibbles_of_halves(const uint8_t* codes, uint32_t at) {
  return fields(load_eight(codes + at % 16), at < 16 ? 0 : 4, 15);
}

PRECIS_FUNCTION GgufRun load_q4_1(const uint8_t* block, uint32_t at) {
  return {nibbles_of_halves(block + 4, at), {load_half(block), load_half(block + 2)}};
}

// The fifth bits of a block's elements stand in four bytes.
PRECIS_FUNCTION Words2 with_fifth_bits(const Words2& nibbles, const uint8_t* bits, uint32_t at) {
  return joined(nibbles, spread_bits(bits[at / 8]), 4);
}
PRECIS_FUNCTION GgufRun load_q5_0(const uint8_t* block, uint32_t at) {
  return {less(with_fifth_bits(nibbles_of_halves(block + 6, at), block + 2, at), 16),
          {load_half(block), 0.0f}};
}
PRECIS_FUNCTION GgufRun load_q5_1(const uint8_t* block, uint32_t at) {
  return {with_fifth_bits(nibbles_of_halves(block + 8, at), block + 4, at),
          {load_half(block), load_half(block + 2)}};
}

PRECIS_FUNCTION GgufRun load_iq4_nl(const uint8_t* block, uint32_t at) {
  return {nibbles_of_halves(block + 2, at), {load_half(block), 0.0f}};
}

// Blocks of 17 bytes stand at any address. Levels are doubled, so the scale is half a power of two.
PRECIS_FUNCTION GgufRun load_mxfp4(const uint8_t* block, uint32_t at) {
  const uint8_t* codes = block + 1 + at % 16;
  Words2 bytes{};
  PRECIS_UNROLL
  for (uint32_t i = 0; i < kRun; ++i)
    bytes.words[i / 4] |= static_cast<uint32_t>(codes[i]) << (8 * (i % 4));
  const uint32_t exponent = block[0];
  const uint32_t scale = exponent < 2 ? 0x00200000u << exponent : (exponent - 1) << 23;
  return {fields(bytes, at < 16 ? 0 : 4, 15), {bits_as<float>(scale), 0.0f}};
}

PRECIS_FUNCTION GgufRun load_nvfp4(const uint8_t* block, uint32_t at) {
  const uint32_t code = block[at / 16];
  const Words2 bytes = load_eight(block + 4 + at / 16 * 8);
  // An unsigned E4M3 number is a float16 with its exponent 8 higher; half of it is wanted. 0x7f
  // stands for zero.
  const auto half = static_cast<uint16_t>((code & 0x7fu) << 7);
  const float scale = code == 0x7f ? 0.0f : half_value(half) * 128.0f;
  return {fields(bytes, at % 16 < 8 ? 0 : 4, 15), {scale, 0.0f}};
}

PRECIS_FUNCTION GgufRun load_q1_0(const uint8_t* block, uint32_t at) {
  const Words2 bits = spread_bits(block[2 + at / 8]);
  return {less(Words2{{bits.words[0] << 1, bits.words[1] << 1}}, 1), {load_half(block), 0.0f}};
}

PRECIS_FUNCTION GgufRun load_q2_0(const uint8_t* block, uint32_t at) {
  return {less(spread_eight_pairs(load_u16(block + 2 + at / 4)), 1), {load_half(block), 0.0f}};
}

PRECIS_FUNCTION GgufRun load_tq2_0(const uint8_t* block, uint32_t at) {
  const Words2 codes = load_eight(block + at / 128 * 32 + at % 32);
  return {less(fields(codes, 2 * (at % 128 / 32), 3), 1), {load_half(block + 64), 0.0f}};
}

// Five digits to the base of 3 in a byte, the first the most significant of a fraction: digit n of
// four bytes.
PRECIS_FUNCTION uint32_t trits(uint32_t bytes, uint32_t power) {
  constexpr uint32_t kLow = 0x00ff00ffu;
  const uint32_t even = ((bytes & kLow) * power & kLow) * 3 >> 8 & kLow;
  const uint32_t odd = ((bytes >> 8 & kLow) * power & kLow) * 3 >> 8 & kLow;
  return even | odd << 8;
}
PRECIS_FUNCTION uint32_t power_of_3(uint32_t n) {
  return (n >= 1 ? 3u : 1u) * (n >= 2 ? 3u : 1u) * (n >= 3 ? 3u : 1u) * (n >= 4 ? 3u : 1u);
}
PRECIS_FUNCTION GgufRun load_tq1_0(const uint8_t* block, uint32_t at) {
  // 32 bytes of five digits, 16 of five, and 4 of four.
  const uint32_t place = at < 160 ? at : at < 240 ? at - 160 : at - 240;
  const uint32_t wide = at < 160 ? 32 : at < 240 ? 16 : 4;
  const uint8_t* first = block + (at < 160 ? 0 : at < 240 ? 32 : 48);
  Words2 levels;
  PRECIS_UNROLL
  for (uint32_t i = 0; i < 2; ++i) {
    const uint32_t from = place + 4 * i;
    levels.words[i] = trits(load_word_by_halves(first + from % wide), power_of_3(from / wide));
  }
  return {less(levels, 1), {load_half(block + 52), 0.0f}};
}

struct GgufSmallBlocks {
  static constexpr bool kFamilyShifted = true, kLooksUp = true;
  static PRECIS_FUNCTION GgufRun load(GgufType type, const uint8_t* block, uint32_t at) {
    switch (type) {
      case GgufType::q4_1:
        return load_q4_1(block, at);
      case GgufType::q5_0:
        return load_q5_0(block, at);
      case GgufType::q5_1:
        return load_q5_1(block, at);
      case GgufType::iq4_nl:
        return load_iq4_nl(block, at);
      case GgufType::mxfp4:
        return load_mxfp4(block, at);
      case GgufType::nvfp4:
        return load_nvfp4(block, at);
      case GgufType::q1_0:
        return load_q1_0(block, at);
      case GgufType::q2_0:
        return load_q2_0(block, at);
      case GgufType::tq2_0:
        return load_tq2_0(block, at);
      default:
        return load_tq1_0(block, at);
    }
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
