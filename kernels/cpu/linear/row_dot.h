// LinearWeight::dot_bfloat16 for codes of 4 or 8 bits with a scale, and perhaps an offset, for 32
// neighbours or more: the sum over groups of scale * (numbers . x) + offset * (sum of x).
//
// Numbers meet the activations in registers, a vector at a time. They are bfloat16: where that
// holds them exactly, nothing is rounded but the sums.
#pragma once

#include <utility>

#include "kernels/cpu/linear/number_words.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

using DotBfloat16 = void (*)(const void* format, uint64_t row, const BFloat16Rows& x, float* sums);

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)

// A row of the weight on its way along kRows rows of x.
template <int kRows>
class DotRow {
 public:
  DotRow(const BFloat16Rows& x, uint64_t first)
      : x_(x.numbers + first * x.stride),
        x_sums_(x.sums + first * (x.stride / kSumColumns)),
        x_stride_(x.stride) {}

  // The next 32 columns: numbers that `scale` multiplies.
  void add(__m512i numbers, float scale) {
    add_rows(numbers, _mm512_set1_ps(scale), Rows());
    x_ += kSumColumns;
  }
  // The next 64 columns with one scale.
  void add(__m512i first, __m512i second, float scale) {
    add_rows(first, second, _mm512_set1_ps(scale), Rows());
    x_ += 2 * kSumColumns;
  }
  // An offset of each of the next 32 * count columns; counted apart from add().
  void add_offset(float offset, uint64_t count) {
    for (int row = 0; row < kRows; ++row) {
      const float* x_sums = x_sums_ + row * (x_stride_ / kSumColumns);
      float sum = 0;
      for (uint64_t i = 0; i < count; ++i) sum += x_sums[i];
      offsets_[row] += offset * sum;
    }
    x_sums_ += count;
  }
  // Eight times 32 columns, with an offset each that is taken off.
  void take_offsets(const float* offsets) {
    const __m256 all = _mm256_loadu_ps(offsets);
    for (int row = 0; row < kRows; ++row) {
      const __m256 x_sums = _mm256_loadu_ps(x_sums_ + row * (x_stride_ / kSumColumns));
      eight_offsets_[row] = _mm256_fnmadd_ps(all, x_sums, eight_offsets_[row]);
    }
    x_sums_ += 8;
  }
  void finish(float* sums) const {
    for (int row = 0; row < kRows; ++row) {
      const __m512 all = _mm512_add_ps(_mm512_add_ps(sums_[row][0], sums_[row][1]),
                                       _mm512_zextps256_ps512(eight_offsets_[row]));
      sums[row] = _mm512_reduce_add_ps(all) + offsets_[row];
    }
  }

 private:
  using Rows = std::make_integer_sequence<int, kRows>;
  // Without loops: sums would not stay in registers.
  template <int... kRow>
  void add_rows(__m512i numbers, __m512 scale, std::integer_sequence<int, kRow...>) {
    (add_scaled(dot(numbers, x_ + kRow * x_stride_, _mm512_setzero_ps()), scale, sums_[kRow]), ...);
  }
  template <int... kRow>
  void add_rows(__m512i first, __m512i second, __m512 scale, std::integer_sequence<int, kRow...>) {
    (add_scaled(dot(second, x_ + kRow * x_stride_ + kSumColumns,
                    dot(first, x_ + kRow * x_stride_, _mm512_setzero_ps())),
                scale, sums_[kRow]),
     ...);
  }
  // sum + numbers . x
  static __m512 dot(__m512i numbers, const uint16_t* x, __m512 sum) {
    // GCC 12 spills the accumulator of the intrinsic.
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(numbers), "v"(_mm512_loadu_si512(x)));
    return sum;
  }
  // Two chains take turns, which hides the latency.
  static void add_scaled(__m512 dot, __m512 scale, __m512* sums) {
    const __m512 sum = _mm512_fmadd_ps(dot, scale, sums[0]);
    sums[0] = sums[1];
    sums[1] = sum;
  }

  const uint16_t* x_;
  const float* x_sums_;
  uint64_t x_stride_;
  __m512 sums_[kRows][2] = {};
  __m256 eight_offsets_[kRows] = {};
  float offsets_[kRows] = {};
};

// visit(row) for rows of x taken together.
template <typename Visit>
void dot_rows(const BFloat16Rows& x, float* sums, Visit visit) {
  uint64_t i = 0;
  for (; i + 4 <= x.count; i += 4) {
    DotRow<4> row(x, i);
    visit(row);
    row.finish(sums + i);
  }
  for (; i < x.count; ++i) {
    DotRow<1> row(x, i);
    visit(row);
    row.finish(sums + i);
  }
}

// `columns`, a multiple of 32, of nibble pairs with one scale.
template <typename Row>
[[gnu::always_inline]] inline void add_nibble_pairs(const NibbleWords& table, const uint8_t* packed,
                                                    uint64_t columns, float scale, Row& row) {
  for (; columns >= 64; columns -= 64, packed += 32)
    row.add(table[nibble_pairs(packed)], table[nibble_pairs(packed + 16)], scale);
  if (columns > 0) row.add(table[nibble_pairs(packed)], scale);
}
// The same of bytes whose codes begin at bit `shift`, 0 or 4.
template <typename Row>
[[gnu::always_inline]] inline void add_nibble_plane(const NibbleWords& table, const uint8_t* bytes,
                                                    int shift, uint64_t columns, float scale,
                                                    Row& row) {
  for (uint64_t i = 0; i < columns; i += 32)
    row.add(table[_mm512_srli_epi16(byte_words(bytes + i), shift)], scale);
}

// Bytes with one scale.
template <typename Words, typename Row>
[[gnu::always_inline]] inline void add_bytes(const Words& words, const uint8_t* bytes,
                                             uint64_t columns, float scale, Row& row) {
  for (uint64_t i = 0; i < columns; i += 32) row.add(words[bytes + i], scale);
}

#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
