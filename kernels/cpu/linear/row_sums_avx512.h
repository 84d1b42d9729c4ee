// How a row of a weight hands its numbers to DotSums.
#pragma once

#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/dot_sums_avx512.h"
#include "kernels/cpu/linear/row_scales.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// What a row adds its numbers to, kDotColumns at a time, or fewer with one scale.
template <int kWeight, typename Sums>
struct RowSums {
  Sums& sums;
  uint64_t column;
  template <typename... Scales>
  [[gnu::always_inline]] void add(__m512i first, __m512i second, __m512i third, __m512i fourth,
                                  Scales... scales) {
    const __m512i numbers[4] = {first, second, third, fourth};
    sums.template add<kWeight>(column, numbers, scales...);
    column += kDotColumns;
  }
  template <std::size_t kVectors>
  [[gnu::always_inline]] void add(const __m512i (&numbers)[kVectors], __m512 scale) {
    sums.template add<kWeight>(column, numbers, scale);
    column += 32 * kVectors;
  }
};

// Hands `to` the numbers of 128 codes of 4 bits, of the words shifted by 0, 4, 8 and 12 bits.
template <typename To, typename... Scales>
[[gnu::always_inline]] inline void add_nibbles(const NibbleWords& table, __m512i words, To& to,
                                               Scales... scales) {
  to.add(table[words], table[_mm512_srli_epi16(words, 4)], table[_mm512_srli_epi16(words, 8)],
         table[_mm512_srli_epi16(words, 12)], scales...);
}

// The same of 128 bytes whose codes begin at bit `plane`, 0 or 4.
template <typename To, typename... Scales>
[[gnu::always_inline]] inline void add_plane(const NibbleWords& table, const uint8_t* bytes,
                                             __m128i plane, To& to, Scales... scales) {
  const __m512i first = _mm512_srl_epi16(load_words(bytes), plane);
  const __m512i last = _mm512_srl_epi16(load_words(bytes + 64), plane);
  to.add(table[first], table[last], table[_mm512_srli_epi16(first, 8)],
         table[_mm512_srli_epi16(last, 8)], scales...);
}

// Hands `to` the numbers of twice 64 codes of a byte each, in kByteLanes. words: IntegerWords or
// Float8E4M3FNWords.
template <typename Words, typename To, typename... Scales>
[[gnu::always_inline]] inline void add_bytes_of(const Words& words, const uint8_t* first,
                                                const uint8_t* last, To& to, Scales... scales) {
  __m512i numbers[4];
  words.look_up_lanes(_mm512_loadu_si512(first), numbers);
  words.look_up_lanes(_mm512_loadu_si512(last), numbers + 2);
  to.add(numbers[0], numbers[2], numbers[1], numbers[3], scales...);
}
// With one scale.
template <typename Words, typename To>
[[gnu::always_inline]] inline void add_byte_halves(const Words& words, const uint8_t* first,
                                                   const uint8_t* last, To& to, float scale) {
  add_bytes_of(words, first, last, to, same_scale(scale));
}
// Of 128 codes, with the scales of every kGroup columns, or with none.
template <int kGroup, typename Words, typename To>
[[gnu::always_inline]] inline void add_bytes(const Words& words, const uint8_t* codes, To& to,
                                             const float* scales) {
  if constexpr (kGroup == 128)
    add_byte_halves(words, codes, codes + 64, to, *scales);
  else
    add_bytes_of(words, codes, codes + 64, to, half_scales<kGroup>(scales, 0),
                 half_scales<kGroup>(scales, 1));
}
template <typename Words, typename To>
[[gnu::always_inline]] inline void add_bytes(const Words& words, const uint8_t* codes, To& to) {
  add_bytes_of(words, codes, codes + 64, to);
}

// Where columns stand in rows of x for add_nibbles and add_plane.
template <const ColumnOrder& kOrder>
inline constexpr const ColumnOrder& kNibbleColumns = kOrder;
template <const ColumnOrder& kOrder>
inline constexpr const ColumnOrder& kPlaneColumns = kOrder;
// For add_bytes; byte_place(i) is the byte whose column stands at i.
constexpr uint64_t byte_place(uint64_t i) {
  return kByteLanes[i];
}
inline constexpr const uint8_t* byte_columns() {
  return kByteLanes.data();
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
