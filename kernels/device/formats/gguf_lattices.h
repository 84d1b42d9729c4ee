// Blocks of 256 whose runs are points of a lattice by their index: the IQ1, IQ2 and IQ3 types.
#pragma once

#include "kernels/device/formats/gguf_run.h"
#include "kernels/device/gguf.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace lattices {

#define PRECIS_LATTICE PRECIS_CONSTANT_TABLE
#include "kernels/cpu/gguf/iq_grids.inc"
#undef PRECIS_LATTICE

}  // namespace lattices

// Digits 0 to 2, a byte each, as magnitudes 8, 25 and 43.
PRECIS_FUNCTION uint32_t magnitudes_of_three(uint32_t digits) {
  return digits * 17 + 0x08080808u + (digits >> 1 & 0x01010101u);
}
PRECIS_FUNCTION Words2 magnitudes_of_point(uint32_t point) {
  const Words2 digits = spread_eight_pairs(point);
  return Words2{{magnitudes_of_three(digits.words[0]), magnitudes_of_three(digits.words[1])}};
}
// Four digits of 3 bits.
PRECIS_FUNCTION uint32_t spread_octal(uint32_t point) {
  return (point & 7u) | (point & 0x38u) << 5 | (point & 0x1c0u) << 10 | (point & 0xe00u) << 15;
}
// As 4, 12 to 52 in steps of 8, and 62.
PRECIS_FUNCTION uint32_t magnitudes_of_eight(uint32_t point) {
  const uint32_t digits = spread_octal(point);
  return digits * 8 + 0x04040404u + (digits & digits >> 1 & digits >> 2 & 0x01010101u) * 2;
}

// Bytes that are not zero, negated where `signs` has a bit.
PRECIS_FUNCTION Words2 with_signs(const Words2& magnitudes, uint32_t signs) {
  const Words2 negative = spread_bits(signs);
  Words2 levels;
  PRECIS_UNROLL
  for (int i = 0; i < 2; ++i)
    levels.words[i] = (magnitudes.words[i] ^ negative.words[i] * 0xffu) + negative.words[i];
  return levels;
}
// Of seven signs, with the eighth that makes the number of minus signs even.
PRECIS_FUNCTION uint32_t even_signs(uint32_t seven) {
  const uint32_t four = seven ^ seven >> 4, two = four ^ four >> 2;
  return seven | ((two ^ two >> 1) & 1u) << 7;
}

PRECIS_FUNCTION GgufRun load_iq2_xxs(const uint8_t* block, uint32_t at) {
  const uint8_t* group = block + 2 + at / 32 * 8;
  const uint32_t rest = load_word_by_halves(group + 4), l = at % 32 / 8;
  const float scale = load_half(block) * (0.5f + static_cast<float>(rest >> 28)) * 0.25f;
  return {with_signs(magnitudes_of_point(lattices::kIq2xxs[group[l]]),
                     even_signs(rest >> (7 * l) & 127u)),
          {scale, 0.0f}};
}

PRECIS_FUNCTION float scale_of_nibble(const uint8_t* block, uint32_t byte, uint32_t at) {
  const uint32_t code = byte >> (at % 32 < 16 ? 0 : 4) & 15u;
  return load_half(block) * (0.5f + static_cast<float>(code)) * 0.25f;
}
PRECIS_FUNCTION GgufRun load_iq2_xs(const uint8_t* block, uint32_t at) {
  const uint32_t code = load_u16(block + 2 + at / 8 * 2);
  return {with_signs(magnitudes_of_point(lattices::kIq2xs[code & 511u]), even_signs(code >> 9)),
          {scale_of_nibble(block, block[66 + at / 32], at), 0.0f}};
}

PRECIS_FUNCTION GgufRun load_iq2_s(const uint8_t* block, uint32_t at) {
  const uint32_t chunk = at / 8, group = at / 32;
  const uint32_t index =
      block[2 + chunk] |
      (static_cast<uint32_t>(block[66 + group]) << (8 - 2 * (chunk % 4)) & 0x300u);
  return {with_signs(magnitudes_of_point(lattices::kIq2s[index]), block[34 + chunk]),
          {scale_of_nibble(block, block[74 + group], at), 0.0f}};
}

PRECIS_FUNCTION GgufRun load_iq3_xxs(const uint8_t* block, uint32_t at) {
  const uint32_t group = at / 32, l = at % 32 / 8;
  const uint8_t* index = block + 2 + 8 * group + 2 * l;
  const uint32_t rest = load_word_by_halves(block + 66 + 4 * group);
  const float scale = load_half(block) * (0.5f + static_cast<float>(rest >> 28)) * 0.5f;
  return {with_signs(Words2{{magnitudes_of_eight(lattices::kIq3xxs[index[0]]),
                             magnitudes_of_eight(lattices::kIq3xxs[index[1]])}},
                     even_signs(rest >> (7 * l) & 127u)),
          {scale, 0.0f}};
}

PRECIS_FUNCTION GgufRun load_iq3_s(const uint8_t* block, uint32_t at) {
  const uint32_t group = at / 32, l = at % 32 / 8, high = block[66 + group];
  const uint8_t* index = block + 2 + 8 * group + 2 * l;
  const uint32_t scale = block[106 + group / 2] >> (4 * (group % 2)) & 15u;
  const auto magnitudes = [&](uint32_t i) {
    const uint32_t point = lattices::kIq3s[index[i] | (high << (8 - 2 * l - i) & 256u)];
    return spread_octal(point) * 2 + 0x01010101u;
  };
  return {with_signs(Words2{{magnitudes(0), magnitudes(1)}}, block[74 + 4 * group + l]),
          {load_half(block) * static_cast<float>(1 + 2 * scale), 0.0f}};
}

// Levels in eighths: a digit -1, 0 or 1, and an eighth more or less.
PRECIS_FUNCTION GgufRun load_iq1(uint32_t point, bool less_an_eighth, float scale) {
  const Words2 digits = spread_eight_pairs(point);
  const uint32_t more = less_an_eighth ? 0 : 0x02020202u;
  return {less(Words2{{digits.words[0] * 8 + more, digits.words[1] * 8 + more}}, 9),
          {scale * 0.125f, 0.0f}};
}
PRECIS_FUNCTION GgufRun load_iq1_s(const uint8_t* block, uint32_t at) {
  const uint32_t group = at / 32, l = at % 32 / 8, high = load_u16(block + 34 + 2 * group);
  const uint32_t index = block[2 + 4 * group + l] | (high >> (3 * l) & 7u) << 8;
  return load_iq1(lattices::kIq1s[index], (high & 0x8000u) != 0,
                  load_half(block) * static_cast<float>(2 * (high >> 12 & 7u) + 1));
}
PRECIS_FUNCTION GgufRun load_iq1_m(const uint8_t* block, uint32_t at) {
  const uint32_t chunk = at / 8, half = at / 16, high = block[32 + half];
  uint32_t scales[4];
  PRECIS_UNROLL
  for (uint32_t i = 0; i < 4; ++i) scales[i] = load_u16(block + 48 + 2 * i);
  const uint32_t bits = scales[0] >> 12 | (scales[1] >> 8 & 0xf0u) | (scales[2] >> 4 & 0xf00u) |
                        (scales[3] & 0xf000u);
  const uint32_t of_half = load_u16(block + 48 + half / 4 * 2);
  const bool odd = chunk % 2 != 0;
  const uint32_t index = block[chunk] | (high << (odd ? 4 : 8) & 0x700u);
  return load_iq1(lattices::kIq1s[index], (high & (odd ? 0x80u : 0x08u)) != 0,
                  half_value(static_cast<uint16_t>(bits)) *
                      static_cast<float>(2 * (of_half >> (3 * (half % 4)) & 7u) + 1));
}

struct GgufLattices {
  static constexpr bool kFamilyShifted = false, kLooksUp = false;
  static PRECIS_FUNCTION GgufRun load(GgufType type, const uint8_t* block, uint32_t at) {
    switch (type) {
      case GgufType::iq2_xxs:
        return load_iq2_xxs(block, at);
      case GgufType::iq2_xs:
        return load_iq2_xs(block, at);
      case GgufType::iq2_s:
        return load_iq2_s(block, at);
      case GgufType::iq3_xxs:
        return load_iq3_xxs(block, at);
      case GgufType::iq3_s:
        return load_iq3_s(block, at);
      case GgufType::iq1_s:
        return load_iq1_s(block, at);
      default:
        return load_iq1_m(block, at);
    }
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
