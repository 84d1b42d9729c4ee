// 32 codes of `bits` bits in `bits` words.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/bit_fields.h"
#include "kernels/cpu/gptq/gptq.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Calls body(width, first word, first bit of the code) for each plane of a planar format.
template <typename Body>
void for_planes(int bits, Body&& body) {
  int word = 0, bit = 0;
  for (const int width : {8, 4, 2, 1}) {
    if ((bits & width) == 0) continue;
    body(width, word, bit);
    word += width;
    bit += width;
  }
}

inline void pack_codes(const GptqFormat& format, const uint8_t* codes, uint32_t* words) {
  if (!format.planar) return pack_words(format.bits, codes, words);
  for_planes(format.bits, [&](int width, int first, int bit) {
    const int mask = (1 << width) - 1;
    uint8_t plane[32];
    for (int i = 0; i < 32; ++i) plane[i] = static_cast<uint8_t>(codes[i] >> bit & mask);
    pack_words(width, plane, words + first);
  });
}

// word_at(i): word i of them.
template <typename WordAt>
inline void unpack_codes(const GptqFormat& format, WordAt word_at, uint8_t* codes) {
  if (!format.planar) return unpack_words(format.bits, word_at, codes);
  std::memset(codes, 0, 32);
  for_planes(format.bits, [&](int width, int first, int bit) {
    uint8_t plane[32];
    unpack_words(
        width, [&](int word) { return word_at(first + word); }, plane);
    for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(codes[i] | plane[i] << bit);
  });
}

// Zero points less one: where fields divide a word, one subtraction for the whole word, borrows
// included, as GPTQModel converts between its versions; else field by field.
inline uint32_t ones_of_fields(int bits) {
  return bits == 2 ? 0x55555555u : bits == 4 ? 0x11111111u : bits == 8 ? 0x01010101u : 0;
}

inline void pack_zeros(const GptqFormat& format, const uint8_t* zeros, uint32_t* words) {
  const uint32_t ones = format.zero_less_one ? ones_of_fields(format.bits) : 0;
  uint8_t fields[32];
  for (int i = 0; i < 32; ++i) {
    fields[i] = format.zero_less_one && ones == 0
                    ? static_cast<uint8_t>((zeros[i] - 1) & ((1 << format.bits) - 1))
                    : zeros[i];
  }
  pack_codes(format, fields, words);
  for (int i = 0; i < format.bits; ++i) words[i] -= ones;
}

inline void unpack_zeros(const GptqFormat& format, const uint32_t* words, uint8_t* zeros) {
  const uint32_t ones = format.zero_less_one ? ones_of_fields(format.bits) : 0;
  uint32_t adjusted[8];
  for (int i = 0; i < format.bits; ++i) adjusted[i] = words[i] + ones;
  unpack_codes(
      format, [&](int i) { return adjusted[i]; }, zeros);
  if (!format.zero_less_one || ones != 0) return;
  for (int i = 0; i < 32; ++i)
    zeros[i] = static_cast<uint8_t>((zeros[i] + 1) & ((1 << format.bits) - 1));
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
