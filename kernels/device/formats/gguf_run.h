// Runs of GGUF's blocks as 8 small integers, and how they are found four in a word.
#pragma once

#include "kernels/device/formats/gguf_blocks.h"

namespace precis::kernels::PRECIS_DEVICE {

struct GgufRun {
  Words2 levels;  // signed bytes, or codes that are looked up
  Scale scale;
};

// Eight bytes that stand at a multiple of 2.
PRECIS_FUNCTION Words2 load_eight(const uint8_t* from) {
  return Words2{{load_word_by_halves(from), load_word_by_halves(from + 4)}};
}

// Of each byte the bits in `mask`, once shifted right.
PRECIS_FUNCTION Words2 fields(const Words2& bytes, uint32_t shift, uint32_t mask) {
  const uint32_t masks = mask * 0x01010101u;
  return Words2{{bytes.words[0] >> shift & masks, bytes.words[1] >> shift & masks}};
}
PRECIS_FUNCTION Words2 joined(const Words2& low, const Words2& high, uint32_t shift) {
  return Words2{{low.words[0] | high.words[0] << shift, low.words[1] | high.words[1] << shift}};
}

// Bytes below 128, each less `number`, as signed bytes.
PRECIS_FUNCTION Words2 less(const Words2& bytes, uint32_t number) {
  constexpr uint32_t kSigns = 0x80808080u;
  const uint32_t numbers = number * 0x01010101u;
  return Words2{{((bytes.words[0] | kSigns) - numbers) ^ kSigns,
                 ((bytes.words[1] | kSigns) - numbers) ^ kSigns}};
}

// Eight bits, or eight codes of 2 bits, as bytes; the first stands lowest.
PRECIS_FUNCTION Words2 spread_bits(uint32_t bits) {
  return Words2{
      {(bits & 15u) * 0x00204081u & 0x01010101u, (bits >> 4 & 15u) * 0x00204081u & 0x01010101u}};
}
PRECIS_FUNCTION uint32_t spread_pairs(uint32_t byte) {
  return (byte | byte << 6 | byte << 12 | byte << 18) & 0x03030303u;
}
PRECIS_FUNCTION Words2 spread_eight_pairs(uint32_t half) {
  return Words2{{spread_pairs(half & 0xffu), spread_pairs(half >> 8 & 0xffu)}};
}

PRECIS_FUNCTION uint32_t load_u16(const uint8_t* from) {
  return *reinterpret_cast<const uint16_t*>(from);
}

}  // namespace precis::kernels::PRECIS_DEVICE
