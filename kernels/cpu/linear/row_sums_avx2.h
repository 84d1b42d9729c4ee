// How a row of a weight hands its numbers to DotSums.
#pragma once

#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/number_words_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// What a row adds its numbers to, column after column.
template <int kWeight, typename Sums>
struct RowSums {
  Sums& sums;
  uint64_t column;
  auto dots() const { return sums.dots(column); }
  template <typename Dots, typename... Scale>
  [[gnu::always_inline]] void add(const Dots& dots, Scale... scale) {
    sums.template add<kWeight>(dots, scale...);
  }
};

// Hands `to` the numbers of 32 columns, or of one after another of them.
template <typename To, typename... Scale>
[[gnu::always_inline]] inline void add_unit(const Numbers32& numbers, To& to, Scale... scales) {
  auto dots = to.dots();
  dots.add(0, numbers);
  to.add(dots, scales...);
  to.column += 32;
}

// Hands `to` the numbers of 64 codes of 4 bits: the low halves of 32 bytes, then the high ones.
template <typename To>
[[gnu::always_inline]] inline void add_nibbles(const NibbleWords& table, __m256i bytes, To& to,
                                               __m256 scales) {
  auto dots = to.dots();
  dots.add(0, table[low_nibbles(bytes)]);
  dots.add(32, table[high_nibbles(bytes)]);
  to.add(dots, scales);
  to.column += 64;
}
// With scales of the first and of the last 8 of 16 bytes.
template <typename To>
[[gnu::always_inline]] inline void add_nibbles(const NibbleWords& table, __m256i bytes, To& to,
                                               __m256 first_scales, __m256 last_scales) {
  const Numbers32 low = table[low_nibbles(bytes)], high = table[high_nibbles(bytes)];
  auto first = to.dots(), last = to.dots();
  first.add(0, low.vectors[0], low.vectors[1]);
  last.add(16, low.vectors[2], low.vectors[3]);
  first.add(32, high.vectors[0], high.vectors[1]);
  last.add(48, high.vectors[2], high.vectors[3]);
  to.add(first, first_scales);
  to.add(last, last_scales);
  to.column += 64;
}

// Of 128 codes in 64 bytes.
template <typename To>
[[gnu::always_inline]] inline void add_nibbles(const NibbleWords& table, Bytes64 bytes, To& to,
                                               ByteScales scales) {
  add_nibbles(table, bytes.halves[0], to, scales.halves[0]);
  add_nibbles(table, bytes.halves[1], to, scales.halves[1]);
}
template <typename To>
[[gnu::always_inline]] inline void add_nibbles(const NibbleWords& table, Bytes64 bytes, To& to,
                                               HalfScales scales) {
  add_nibbles(table, bytes.halves[0], to, scales.first.halves[0], scales.last.halves[0]);
  add_nibbles(table, bytes.halves[1], to, scales.first.halves[1], scales.last.halves[1]);
}
// With scales of the low and of the high halves.
template <typename To>
[[gnu::always_inline]] inline void add_nibbles(const NibbleWords& table, Bytes64 bytes, To& to,
                                               ByteScales low, ByteScales high) {
  add_unit(table[low_nibbles(bytes.halves[0])], to, low.halves[0]);
  add_unit(table[high_nibbles(bytes.halves[0])], to, high.halves[0]);
  add_unit(table[low_nibbles(bytes.halves[1])], to, low.halves[1]);
  add_unit(table[high_nibbles(bytes.halves[1])], to, high.halves[1]);
}

// The same of 128 bytes whose codes begin at bit `plane`, 0 or 4, with scales of the first and of
// the last 64.
template <typename To>
[[gnu::always_inline]] inline void add_plane(const NibbleWords& table, const uint8_t* bytes,
                                             __m128i plane, To& to, ByteScales first,
                                             ByteScales last) {
  const Bytes64 lower = load_words(bytes), upper = load_words(bytes + 64);
  add_unit(table[low_nibbles(_mm256_srl_epi16(lower.halves[0], plane))], to, first.halves[0]);
  add_unit(table[low_nibbles(_mm256_srl_epi16(lower.halves[1], plane))], to, first.halves[1]);
  add_unit(table[low_nibbles(_mm256_srl_epi16(upper.halves[0], plane))], to, last.halves[0]);
  add_unit(table[low_nibbles(_mm256_srl_epi16(upper.halves[1], plane))], to, last.halves[1]);
}

// The numbers of kCount codes, as they come, whose columns stand at `at`. words: IntegerWords,
// Float8E4M3FNWords or FieldWords.
template <int kCount, typename Words, typename Code, typename Dots>
[[gnu::always_inline]] inline void add_columns(Words& words, const Code* codes, uint64_t at,
                                               Dots& dots) {
#pragma GCC unroll 8
  for (uint64_t i = 0; i < kCount; i += 16) {
    const Floats16 numbers = words.load(codes + i);
    dots.add(at + i, numbers.first, numbers.last);
  }
}
// Hands `to` the numbers of twice 64 codes of a byte each, with one scale.
template <typename Words, typename To>
[[gnu::always_inline]] inline void add_byte_halves(Words& words, const uint8_t* first,
                                                   const uint8_t* last, To& to, float scale) {
  auto dots = to.dots();
  add_columns<64>(words, first, 0, dots);
  add_columns<64>(words, last, 64, dots);
  to.add(dots, _mm256_set1_ps(scale));
  to.column += kDotColumns;
}
// Of 128 codes, with the scales of every kGroup columns, or with none.
template <int kGroup, typename Words, typename To>
[[gnu::always_inline]] inline void add_bytes(Words& words, const uint8_t* codes, To& to,
                                             const float* scales) {
#pragma GCC unroll 4
  for (uint64_t at = 0; at < kDotColumns; at += kGroup) {
    auto dots = to.dots();
    add_columns<kGroup>(words, codes + at, 0, dots);
    to.add(dots, _mm256_set1_ps(scales[at / kGroup]));
    to.column += kGroup;
  }
}
template <typename Words, typename To>
[[gnu::always_inline]] inline void add_bytes(Words& words, const uint8_t* codes, To& to) {
  auto dots = to.dots();
  add_columns<kDotColumns>(words, codes, 0, dots);
  to.add(dots);
  to.column += kDotColumns;
}

// Where columns stand in rows of x for add_nibbles and add_plane, of codes that are in the order of
// column_order(): word i of vector v is byte 2 i + v / 2 of 64, its low half if v is even; of
// planes, it is byte 2 i + v / 2 of the first 64 if v is even.
constexpr uint8_t column_of_byte(const ColumnOrder& order, uint64_t byte, uint64_t odd_vector) {
  return order[(byte % 2 * 2 + odd_vector) * 32 + byte / 2];
}
constexpr ColumnOrder in_units(const ColumnOrder& order, bool planes) {
  ColumnOrder units{};
  for (uint64_t i = 0; i < kDotColumns; ++i) {
    const uint64_t unit = i / 32, code = kUnitOrder[i % 32];
    units[i] = planes ? column_of_byte(order, unit % 2 * 32 + code, unit / 2)
                      : column_of_byte(order, unit / 2 * 32 + code, unit % 2);
  }
  return units;
}
template <const ColumnOrder& kOrder>
inline constexpr ColumnOrder kNibbleColumns = in_units(kOrder, false);
template <const ColumnOrder& kOrder>
inline constexpr ColumnOrder kPlaneColumns = in_units(kOrder, true);
// For units of 32 columns each, as they come.
inline constexpr ColumnOrder kUnitColumns = [] {
  ColumnOrder units{};
  for (uint64_t i = 0; i < kDotColumns; ++i)
    units[i] = static_cast<uint8_t>(i / 32 * 32 + kUnitOrder[i % 32]);
  return units;
}();
// For add_bytes; byte_place(i) is the byte whose column stands at i.
constexpr uint64_t byte_place(uint64_t i) {
  return i;
}
inline constexpr const uint8_t* byte_columns() {
  return nullptr;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
