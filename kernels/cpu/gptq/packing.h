// 32 codes of `bits` bits in `bits` words.
#pragma once

#include <cstdint>

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
  for (int i = 0; i < format.bits; ++i) words[i] = 0;
  if (format.planar) {
    for_planes(format.bits, [&](int width, int first, int bit) {
      const int each = 32 / width;
      const uint32_t mask = (1u << width) - 1;
      for (int i = 0; i < 32; ++i)
        words[first + i / each] |= ((codes[i] >> bit) & mask) << (i % each * width);
    });
    return;
  }
  if (format.bits == 4) {
    // Eight shifts of each word, one code at a time, are not vectorised.
    uint8_t bytes[16];
    for (int i = 0; i < 16; ++i)
      bytes[i] = static_cast<uint8_t>(codes[2 * i] | codes[2 * i + 1] << 4);
    for (int i = 0; i < 4; ++i)
      words[i] = bytes[4 * i] | uint32_t{bytes[4 * i + 1]} << 8 | uint32_t{bytes[4 * i + 2]} << 16 |
                 uint32_t{bytes[4 * i + 3]} << 24;
    return;
  }
  for (int i = 0; i < 32; ++i) {
    const int position = i * format.bits, word = position / 32, bit = position % 32;
    words[word] |= uint32_t{codes[i]} << bit;
    if (bit + format.bits > 32) words[word + 1] |= uint32_t{codes[i]} >> (32 - bit);
  }
}

inline void unpack_codes(const GptqFormat& format, const uint32_t* words, uint8_t* codes) {
  const uint32_t all = (1u << format.bits) - 1;
  if (format.planar) {
    for (int i = 0; i < 32; ++i) codes[i] = 0;
    for_planes(format.bits, [&](int width, int first, int bit) {
      const int each = 32 / width;
      const uint32_t mask = (1u << width) - 1;
      for (int i = 0; i < 32; ++i) {
        codes[i] |=
            static_cast<uint8_t>(((words[first + i / each] >> (i % each * width)) & mask) << bit);
      }
    });
    return;
  }
  for (int i = 0; i < 32; ++i) {
    const int position = i * format.bits, word = position / 32, bit = position % 32;
    uint32_t code = words[word] >> bit;
    if (bit + format.bits > 32) code |= words[word + 1] << (32 - bit);
    codes[i] = static_cast<uint8_t>(code & all);
  }
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
  unpack_codes(format, adjusted, zeros);
  if (!format.zero_less_one || ones != 0) return;
  for (int i = 0; i < 32; ++i)
    zeros[i] = static_cast<uint8_t>((zeros[i] + 1) & ((1 << format.bits) - 1));
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
