// Rows of narrow numbers, integers or codes of a float format, as they are stored.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/cpu/common/bit_fields.h"
#include "kernels/cpu/scaled/scaled.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Integers of 4 or 8 bits in whole words, as bytes from the low bits up; `count` is a multiple
// of 8.
inline void store_whole_codes(int bits, const int* numbers, uint64_t count, uint8_t* to) {
  if (bits == 8) {
    for (uint64_t i = 0; i < count; ++i) to[i] = static_cast<uint8_t>(numbers[i] + 128);
    return;
  }
  for (uint64_t i = 0; i < count / 2; ++i)
    to[i] = static_cast<uint8_t>((numbers[2 * i] + 8) | (numbers[2 * i + 1] + 8) << 4);
}

// Codes of 6 bits, four in three bytes.
inline void store_six_bits(const int* numbers, uint64_t count, uint8_t* to) {
  uint64_t i = 0;
  for (; i + 8 <= count; i += 8, to += 6) {
    uint8_t codes[8];
    for (uint64_t j = 0; j < 8; ++j) codes[j] = static_cast<uint8_t>(numbers[i + j]);
    pack_bit_fields(6, codes, 8, to);
  }
  for (; i < count; i += 4, to += 3) {
    uint32_t word = 0;
    for (uint64_t j = 0; j < std::min<uint64_t>(4, count - i); ++j)
      word |= static_cast<uint32_t>(numbers[i + j]) << (6 * j);
    for (uint64_t j = 0; j < 3; ++j) to[j] = static_cast<uint8_t>(word >> (8 * j));
  }
}

// Stores columns [begin, begin + count) of a row of integers, or of codes of a float format;
// `begin` is a multiple of 32. Rows of a pair are stored in order.
inline void store_row(const NarrowRows& rows, const int* numbers, uint64_t begin, uint64_t count,
                      void* codes, uint64_t row) {
  uint8_t* to = static_cast<uint8_t*>(codes) + rows.offset(row);
  switch (rows.type) {
    case NarrowType::int8:
    case NarrowType::float8_e4m3fn:
      for (uint64_t i = 0; i < count; ++i) to[begin + i] = static_cast<uint8_t>(numbers[i]);
      return;
    case NarrowType::float4_e2m1:
      for (uint64_t i = 0; i < count / 2; ++i)
        to[begin / 2 + i] = static_cast<uint8_t>(numbers[2 * i] | numbers[2 * i + 1] << 4);
      if (count % 2 != 0) to[(begin + count) / 2] = static_cast<uint8_t>(numbers[count - 1]);
      return;
    case NarrowType::float6_e2m3:
      return store_six_bits(numbers, count, to + begin / 4 * 3);
    case NarrowType::int4_row_pairs:
      for (uint64_t i = 0; i < count; ++i) {
        const int code = numbers[i] & 15;
        to[begin + i] = static_cast<uint8_t>(row % 2 == 0 ? code : to[begin + i] | code << 4);
      }
      return;
    case NarrowType::packed_int:
      break;
  }
  const auto bits = static_cast<uint64_t>(rows.bits);
  const int offset = 1 << (bits - 1);
  uint64_t i = 0;
  if (bits == 4 || bits == 8) {
    i = count / 32 * 32;
    store_whole_codes(rows.bits, numbers, i, to + begin * bits / 8);
  }
  for (; i < count; i += 32) {
    uint8_t fields[32] = {};
    for (uint64_t j = 0; j < std::min<uint64_t>(32, count - i); ++j)
      fields[j] = static_cast<uint8_t>(numbers[i + j] + offset);
    uint8_t words[32];
    pack_bit_fields(rows.bits, fields, 32, words);
    const uint64_t first = (begin + i) / 32 * bits;
    std::memcpy(to + first * 4, words, std::min(bits, rows.row_bytes() / 4 - first) * 4);
  }
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
