// What rows of narrow numbers stand for: integers, or codes of a float format.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/cpu/common/bit_fields.h"
#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/common/microscaling.h"
#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/scaled/scaled.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline uint32_t word_at(const void* words, uint64_t i) {
  uint32_t word;
  std::memcpy(&word, static_cast<const uint8_t*>(words) + i * sizeof word, sizeof word);
  return word;
}

// The integers of 32 codes of `bits` bits, with half of their range added, in as many words.
inline void unpack_stream(int bits, const uint32_t* words, float* values) {
  uint8_t codes[32];
  unpack_bit_fields(bits, reinterpret_cast<const uint8_t*>(words), 32, codes);
  const int offset = 1 << (bits - 1);
  for (int i = 0; i < 32; ++i) values[i] = static_cast<float>(codes[i] - offset);
}

// Of integers of 4 bits with 8 added.
template <typename Type>
inline ValueTable<Type> nibble_numbers() {
  return ValueTable<Type>(kUnsignedNibbles,
                          [](auto code) { return code - all_of<decltype(code)>(8); });
}

inline void load_packed(const NarrowRows& rows, const uint8_t* row, uint64_t begin, uint64_t end,
                        float* values) {
  if (rows.bits == 4)
    return nibble_numbers<F32>().look_up_nibbles(row + begin / 2, end - begin, values);
  if (rows.bits == 8) {
    return decode_bytes<UnsignedBytes, F32>(
        row + begin, end - begin, [](auto code) { return code - all_of<decltype(code)>(128); },
        values);
  }
  const auto bits = static_cast<uint64_t>(rows.bits);
  if (rows.padded) {
    const uint64_t each = 32 / bits;
    const int offset = 1 << (bits - 1);
    for (uint64_t i = begin; i < end; ++i) {
      const uint32_t code = word_at(row, i / each) >> (i % each * bits) & ((1u << bits) - 1);
      values[i - begin] = static_cast<float>(static_cast<int>(code) - offset);
    }
    return;
  }
  const uint64_t row_words = rows.row_bytes() / 4;
  for (uint64_t i = begin; i < end; i += 32) {
    uint32_t words[8] = {};
    const uint64_t first = i / 32 * bits, count = std::min(bits, row_words - first);
    std::memcpy(words, row + first * 4, count * 4);
    float group[32];
    unpack_stream(rows.bits, words, group);
    std::memcpy(values + (i - begin), group, std::min<uint64_t>(32, end - i) * sizeof(float));
  }
}

#if defined(__AVX512VBMI__)
// The 64 codes of 6 bits in 48 bytes, a byte for each.
inline __m512i six_bit_codes(const uint8_t* packed) {
  const __m512i eights =
      _mm512_setr_epi64(0x050403020100, 0x0b0a09080706, 0x11100f0e0d0c, 0x171615141312,
                        0x1d1c1b1a1918, 0x232221201f1e, 0x292827262524, 0x2f2e2d2c2b2a);
  const __m512i shifts = _mm512_set1_epi64(0x2a241e18120c0600);
  const __m512i bytes = _mm512_maskz_loadu_epi8((uint64_t{1} << 48) - 1, packed);
  const __m512i spread =
      _mm512_multishift_epi64_epi8(shifts, _mm512_permutexvar_epi8(eights, bytes));
  return _mm512_and_si512(spread, _mm512_set1_epi8(63));
}
#endif

// A byte for each of `count` codes of 6 bits, four in three bytes.
inline void unpack_six_bits(const uint8_t* packed, uint64_t count, uint8_t* codes) {
  uint64_t i = 0;
#if defined(__AVX512VBMI__)
  for (; i + 64 <= count; i += 64, packed += 48)
    _mm512_storeu_si512(codes + i, six_bit_codes(packed));
#endif
  for (; i < count; i += 4, packed += 3) {
    const uint32_t word = packed[0] | uint32_t{packed[1]} << 8 | uint32_t{packed[2]} << 16;
    for (uint64_t j = 0; j < std::min<uint64_t>(4, count - i); ++j)
      codes[i + j] = word >> (6 * j) & 63;
  }
}

inline void load_float6(const uint8_t* packed, uint64_t count, float* values) {
  constexpr uint64_t kAtOnce = 256;
  uint8_t codes[kAtOnce];
  for (uint64_t i = 0; i < count; i += kAtOnce) {
    const uint64_t here = std::min(kAtOnce, count - i);
    unpack_six_bits(packed + i / 4 * 3, here, codes);
    decode_bytes<Float6E2M3, F32>(
        codes, here, [](auto value) { return value; }, values + i);
  }
}

// Columns [begin, end) of a row as numbers; `begin` is a multiple of 32.
inline void load_row(const NarrowRows& rows, const void* codes, uint64_t row, uint64_t begin,
                     uint64_t end, float* values) {
  const uint8_t* from = static_cast<const uint8_t*>(codes) + rows.offset(row);
  const auto itself = [](auto value) { return value; };
  switch (rows.type) {
    case NarrowType::packed_int:
      return load_packed(rows, from, begin, end, values);
    case NarrowType::int8:
      return decode_bytes<SignedBytes, F32>(from + begin, end - begin, itself, values);
    case NarrowType::float8_e4m3fn:
      return decode_bytes<Float8E4M3FN, F32>(from + begin, end - begin, itself, values);
    case NarrowType::float6_e2m3:
      return load_float6(from + begin / 4 * 3, end - begin, values);
    case NarrowType::float4_e2m1:
      return ValueTable<F32>(kFloat4E2M1, itself)
          .look_up_nibbles(from + begin / 2, end - begin, values);
    case NarrowType::int4_row_pairs: {
      const int up = row % 2 == 0 ? 4 : 0;
      for (uint64_t i = begin; i < end; ++i)
        values[i - begin] = static_cast<float>(static_cast<int8_t>(from[i] << up) >> 4);
      return;
    }
  }
}

// The zero point of a tile.
inline float load_zero(ZeroType type, const NarrowRows& rows, const ScaleTiles& tiles,
                       const void* zeros, uint64_t row, uint64_t tile) {
  const uint64_t tile_row = row / tiles.rows;
  if (type == ZeroType::none) return 0;
  if (type == ZeroType::int8)
    return static_cast<const int8_t*>(zeros)[tile_row * tiles.per_row + tile];
  const auto bits = static_cast<uint64_t>(rows.bits);
  const uint64_t each = rows.padded ? 32 / bits : 0;
  const uint64_t word = rows.padded ? tile_row / each : tile_row * bits / 32;
  const uint64_t bit = rows.padded ? tile_row % each * bits : tile_row * bits % 32;
  uint64_t both = word_at(zeros, word * tiles.per_row + tile);
  if (bit + bits > 32) both |= uint64_t{word_at(zeros, (word + 1) * tiles.per_row + tile)} << 32;
  return static_cast<float>(static_cast<int>(both >> bit & ((1u << bits) - 1)) - (1 << (bits - 1)));
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
