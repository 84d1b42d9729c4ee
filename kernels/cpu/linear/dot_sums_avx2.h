// Sums of products in float32 in registers, as RowDot's rows add to them, for machines without
// products of bfloat16.
//
// 32 codes of a byte each become four vectors of numbers, in the order in which interleaving their
// bytes gives them: kUnitOrder says which column stands where in a row of x.
#pragma once

#include <immintrin.h>

#include <array>
#include <utility>

#include "kernels/cpu/linear/product.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// The numbers of 32 codes.
struct Numbers32 {
  __m256 vectors[4];
};
// Number i of Numbers32 is that of code kUnitOrder[i].
inline constexpr std::array<uint8_t, 32> kUnitOrder = [] {
  std::array<uint8_t, 32> order{};
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::size_t vector = i / 8, lane = i % 8;
    order[i] =
        static_cast<uint8_t>(16 * (lane / 4) + 8 * (vector / 2) + 2 * (lane % 4) + vector % 2);
  }
  return order;
}();

inline float sum_of_lanes(__m256 lanes) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

// The products of some columns of a row of the weight with kRows rows of x, before they are scaled.
template <int kRows>
class ColumnDots {
 public:
  ColumnDots(const float* x, uint64_t stride) : x_(x), stride_(stride) {}

  // Two vectors of numbers, of columns that stand at `at` in rows of x.
  [[gnu::always_inline]] void add(uint64_t at, __m256 first, __m256 second) {
    add_rows(x_ + at, first, second, std::make_integer_sequence<int, kRows>());
  }
  [[gnu::always_inline]] void add(uint64_t at, const Numbers32& numbers) {
    add(at, numbers.vectors[0], numbers.vectors[1]);
    add(at + 16, numbers.vectors[2], numbers.vectors[3]);
  }
  __m256 sum(int row) const { return _mm256_add_ps(even_[row], odd_[row]); }

 private:
  // Without loops: sums would not stay in registers.
  template <int... kRow>
  [[gnu::always_inline]] void add_rows(const float* x, __m256 first, __m256 second,
                                       std::integer_sequence<int, kRow...>) {
    ((even_[kRow] = _mm256_fmadd_ps(first, _mm256_loadu_ps(x + kRow * stride_), even_[kRow])), ...);
    ((odd_[kRow] = _mm256_fmadd_ps(second, _mm256_loadu_ps(x + kRow * stride_ + 8), odd_[kRow])),
     ...);
  }

  const float* x_;
  uint64_t stride_;
  __m256 even_[kRows] = {}, odd_[kRows] = {};
};

// The sums of kWeights rows of the weight times kRows rows of x.
template <int kWeights, int kRows>
class DotSums {
 public:
  using Dots = ColumnDots<kRows>;
  DotSums(const ActivationRows& x, uint64_t first)
      : x_(static_cast<const float*>(x.numbers) + first * x.stride), stride_(x.stride) {}

  Dots dots(uint64_t column) const { return {x_ + column, stride_}; }
  template <int kWeight>
  [[gnu::always_inline]] void add(const Dots& dots) {
    for_rows(
        [&](int row) { sums_[kWeight][row] = _mm256_add_ps(dots.sum(row), sums_[kWeight][row]); });
  }
  template <int kWeight>
  [[gnu::always_inline]] void add(const Dots& dots, __m256 scales) {
    for_rows([&](int row) {
      sums_[kWeight][row] = _mm256_fmadd_ps(dots.sum(row), scales, sums_[kWeight][row]);
    });
  }
  template <int kWeight, int kRow>
  [[gnu::always_inline]] void add_products(__m256 a, __m256 b) {
    sums_[kWeight][kRow] = _mm256_fmadd_ps(a, b, sums_[kWeight][kRow]);
  }
  float sum(int weight, int row) const { return sum_of_lanes(sums_[weight][row]); }

 private:
  template <typename Body>
  [[gnu::always_inline]] static void for_rows(Body body) {
    [&]<int... kRow>(std::integer_sequence<int, kRow...>) {
      (body(kRow), ...);
    }
    (std::make_integer_sequence<int, kRows>());
  }

  const float* x_;
  uint64_t stride_;
  __m256 sums_[kWeights][kRows] = {};
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
