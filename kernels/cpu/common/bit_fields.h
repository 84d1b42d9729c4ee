// Eight codes of 1 to 8 bits, a byte for each, and the same side by side, the first in the lowest
// bits: as many bytes as a code has bits.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// codes: eight bytes, clear above `bits`.
inline uint64_t join_eight(int bits, uint64_t codes) {
  const int gap = 8 - bits;
  codes = (codes & 0x00ff00ff00ff00ff) | (codes & 0xff00ff00ff00ff00) >> gap;
  codes = (codes & 0x0000ffff0000ffff) | (codes & 0xffff0000ffff0000) >> 2 * gap;
  return (codes & 0x00000000ffffffff) | (codes & 0xffffffff00000000) >> 4 * gap;
}

// fields: clear above 8 * bits.
inline uint64_t split_eight(int bits, uint64_t fields) {
  const int gap = 8 - bits;
  const uint64_t four = (uint64_t{1} << 4 * bits) - 1;
  const uint64_t two = ((uint64_t{1} << 2 * bits) - 1) * 0x0000000100000001;
  const uint64_t one = ((uint64_t{1} << bits) - 1) * 0x0001000100010001;
  fields = (fields & four) | (fields & ~four) << 4 * gap;
  fields = (fields & two) | (fields & ~two) << 2 * gap;
  return (fields & one) | (fields & ~one) << gap;
}

// Calls body(std::integral_constant) of the bits.
template <typename Body>
inline void with_bits(int bits, Body&& body) {
  switch (bits) {
    case 1:
      return body(std::integral_constant<int, 1>{});
    case 2:
      return body(std::integral_constant<int, 2>{});
    case 3:
      return body(std::integral_constant<int, 3>{});
    case 4:
      return body(std::integral_constant<int, 4>{});
    case 5:
      return body(std::integral_constant<int, 5>{});
    case 6:
      return body(std::integral_constant<int, 6>{});
    case 7:
      return body(std::integral_constant<int, 7>{});
    case 8:
      return body(std::integral_constant<int, 8>{});
  }
}

// `count` codes, a multiple of 8, to count / 8 * bits bytes.
inline void pack_bit_fields(int bits, const uint8_t* codes, uint64_t count, uint8_t* packed) {
  with_bits(bits, [&](auto constant) {
    constexpr int kBits = decltype(constant)::value;
    for (uint64_t i = 0; i < count; i += 8, packed += kBits) {
      uint64_t eight;
      std::memcpy(&eight, codes + i, sizeof eight);
      eight = join_eight(kBits, eight);
      std::memcpy(packed, &eight, kBits);
    }
  });
}

// The other way.
inline void unpack_bit_fields(int bits, const uint8_t* packed, uint64_t count, uint8_t* codes) {
  with_bits(bits, [&](auto constant) {
    constexpr int kBits = decltype(constant)::value;
    for (uint64_t i = 0; i < count; i += 8, packed += kBits) {
      uint64_t fields = 0;
      std::memcpy(&fields, packed, kBits);
      fields = split_eight(kBits, fields);
      std::memcpy(codes + i, &fields, sizeof fields);
    }
  });
}

// 32 codes in words [0, bits), put together in registers: what was stored as bytes could not be
// loaded as words, or the other way, before the stores are through.
inline void pack_words(int bits, const uint8_t* codes, uint32_t* words) {
  with_bits(bits, [&](auto constant) {
    constexpr int kBits = decltype(constant)::value;
    uint64_t fields[4];
    for (int i = 0; i < 4; ++i) {
      std::memcpy(&fields[i], codes + 8 * i, sizeof fields[i]);
      fields[i] = join_eight(kBits, fields[i]);
    }
    for (int word = 0; word < kBits; ++word) {
      uint64_t found = 0;
      for (int i = 0; i < 4; ++i) {
        const int from = 8 * kBits * i - 32 * word;  // the first bit of the fields in this word
        if (from >= 0 && from < 32) found |= fields[i] << from;
        if (from < 0 && from > -8 * kBits) found |= fields[i] >> -from;
      }
      words[word] = static_cast<uint32_t>(found);
    }
  });
}

// word_at(i): word i of them.
template <typename WordAt>
inline void unpack_words(int bits, WordAt word_at, uint8_t* codes) {
  with_bits(bits, [&](auto constant) {
    constexpr int kBits = decltype(constant)::value;
    for (int i = 0; i < 4; ++i) {
      uint64_t fields = 0;
      for (int word = 0; word < kBits; ++word) {
        const int from = 8 * kBits * i - 32 * word;
        if (from >= 0 && from < 32) fields |= uint64_t{word_at(word)} >> from;
        if (from < 0 && from > -8 * kBits) fields |= uint64_t{word_at(word)} << -from;
      }
      if (kBits < 8) fields &= (uint64_t{1} << 8 * kBits % 64) - 1;
      fields = split_eight(kBits, fields);
      std::memcpy(codes + 8 * i, &fields, sizeof fields);
    }
  });
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
