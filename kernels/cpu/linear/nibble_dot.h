// LinearWeight::dot_bfloat16 for codes of 4 bits: the values of a group are computed once and
// looked up a vector at a time, and meet the activations in registers.
//
//   template <typename Row> visit: walks a row, calling row.add<chain>(words) for each 32 columns.
#pragma once

#include <utility>

#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

using DotBfloat16 = void (*)(const void* format, uint64_t row, const uint16_t* x, uint64_t x_stride,
                             uint64_t x_rows, float* sums);

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)

// 16 values rounded to bfloat16, a subnormal to zero, as the multiplying instruction takes it.
class NibbleWords {
 public:
  // value(numbers[code]); `value` takes lanes of floats.
  template <typename Value>
  NibbleWords(const float* numbers, Value value)
      : twice_(
            _mm512_broadcast_i64x4(__m256i(_mm512_cvtneps_pbh(value(Floats::load(numbers)).v)))) {}
  // Of the low 4 bits of each word.
  __m512i operator[](__m512i words) const { return _mm512_permutexvar_epi16(words, twice_); }

 private:
  __m512i twice_;
};

// 32 codes as the low 4 bits of words; what stands above them does not matter to NibbleWords.
// Of 16 bytes, the low half of each first.
inline __m512i nibble_pairs(const uint8_t* packed) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed));
  const __m512i from = _mm512_set1_epi64(0x000c'0008'0004'0000);  // bits of each pair of bytes
  return _mm512_multishift_epi64_epi8(from, _mm512_cvtepu16_epi64(bytes));
}
// Of 16 bytes, all low halves before the high ones.
inline __m512i split_nibble_words(const uint8_t* packed) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed));
  const __m256i low = _mm256_cvtepu8_epi16(bytes);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), _mm256_srli_epi16(low, 4), 1);
}
// Of 32 bytes, as words: their low halves, and shifted by 4 their high ones.
inline __m512i byte_words(const uint8_t* bytes) {
  return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
}

// A row of the weight on its way along kRows rows of x.
template <int kRows>
class DotRow {
 public:
  DotRow(const uint16_t* x, uint64_t x_stride) : x_(x), x_stride_(x_stride) {}
  // The next 32 columns. Neighbours take different chains, which hides the latency.
  template <int kChain>
  void add(__m512i weight) {
    add_rows<kChain>(weight, std::make_integer_sequence<int, kRows>());
    x_ += 32;
  }
  // The next 32 columns of numbers that `scale` multiplies.
  void add_scaled(__m512i weight, float scale) {
    add_scaled_rows(weight, _mm512_set1_ps(scale), std::make_integer_sequence<int, kRows>());
    x_ += 32;
  }
  // The chains change places, for callers that always take the first.
  void turn() { turn_rows(std::make_integer_sequence<int, kRows>()); }
  void finish(float* sums) const {
    for (int row = 0; row < kRows; ++row)
      sums[row] = _mm512_reduce_add_ps(_mm512_add_ps(sums_[row][0], sums_[row][1]));
  }

 private:
  // Without a loop: sums would not stay in registers.
  template <int kChain, int... kRow>
  void add_rows(__m512i weight, std::integer_sequence<int, kRow...>) {
    (add_row(weight, x_ + kRow * x_stride_, sums_[kRow][kChain]), ...);
  }
  template <int... kRow>
  void add_scaled_rows(__m512i weight, __m512 scale, std::integer_sequence<int, kRow...>) {
    (add_scaled_row(weight, scale, x_ + kRow * x_stride_, sums_[kRow][0]), ...);
  }
  static void add_scaled_row(__m512i weight, __m512 scale, const uint16_t* x, __m512& sum) {
    __m512 dot = _mm512_setzero_ps();
    add_row(weight, x, dot);
    sum = _mm512_fmadd_ps(dot, scale, sum);
  }
  template <int... kRow>
  void turn_rows(std::integer_sequence<int, kRow...>) {
    (std::swap(sums_[kRow][0], sums_[kRow][1]), ...);
  }
  static void add_row(__m512i weight, const uint16_t* x, __m512& sum) {
    // GCC 12 spills the accumulator of the intrinsic.
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(weight), "v"(_mm512_loadu_si512(x)));
  }

  const uint16_t* x_;
  uint64_t x_stride_;
  __m512 sums_[kRows][2] = {};
};

// visit(row) for rows of x taken together.
template <typename Visit>
void dot_rows(const uint16_t* x, uint64_t x_stride, uint64_t x_rows, float* sums, Visit visit) {
  uint64_t i = 0;
  for (; i + 4 <= x_rows; i += 4) {
    DotRow<4> row(x + i * x_stride, x_stride);
    visit(row);
    row.finish(sums + i);
  }
  for (; i < x_rows; ++i) {
    DotRow<1> row(x + i * x_stride, x_stride);
    visit(row);
    row.finish(sums + i);
  }
}

// `columns`, a multiple of 32, of nibble pairs with the values of one table.
template <typename Row>
void add_nibble_pairs(const NibbleWords& table, const uint8_t* packed, uint64_t columns, Row& row) {
  for (; columns >= 64; columns -= 64, packed += 32) {
    row.template add<0>(table[nibble_pairs(packed)]);
    row.template add<1>(table[nibble_pairs(packed + 16)]);
  }
  if (columns > 0) row.template add<0>(table[nibble_pairs(packed)]);
}

#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
