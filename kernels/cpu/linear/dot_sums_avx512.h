// Sums of bfloat16 products in registers, as RowDot's rows add to them.
#pragma once

#include <immintrin.h>

#include <utility>

#include "kernels/cpu/linear/product.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// The sums of kWeights rows of the weight times kRows rows of x.
template <int kWeights, int kRows>
class DotSums {
 public:
  DotSums(const ActivationRows& x, uint64_t first)
      : x_(static_cast<const uint16_t*>(x.numbers) + first * x.stride), stride_(x.stride) {}

  // kDotColumns numbers of row kWeight, or fewer of one scale, of the columns from `column` on.
  // Lanes of scale i multiply numbers i, i + count of scales, and so on; without scales, all are 1.
  template <int kWeight, std::size_t kVectors, typename... Scales>
  [[gnu::always_inline]] void add(uint64_t column, const __m512i (&numbers)[kVectors],
                                  Scales... scales) {
    add_rows<kWeight>(x_ + column, numbers, std::make_integer_sequence<int, kRows>(), scales...);
  }
  float sum(int weight, int row) const { return _mm512_reduce_add_ps(sums_[weight][row]); }

 private:
  // Without loops: sums would not stay in registers.
  template <int kWeight, std::size_t kVectors, int... kRow, typename... Scales>
  [[gnu::always_inline]] void add_rows(const uint16_t* x, const __m512i (&numbers)[kVectors],
                                       std::integer_sequence<int, kRow...>, Scales... scales) {
    (add_scaled(sums_[kWeight][kRow], x + kRow * stride_, numbers, scales...), ...);
  }
  [[gnu::always_inline]] static void add_scaled(__m512& sum, const uint16_t* x,
                                                const __m512i (&numbers)[4]) {
    sum = dot(numbers[1], x + 32, dot(numbers[0], x, sum));
    sum = dot(numbers[3], x + 96, dot(numbers[2], x + 64, sum));
  }
  template <std::size_t kVectors>
  [[gnu::always_inline]] static void add_scaled(__m512& sum, const uint16_t* x,
                                                const __m512i (&numbers)[kVectors], __m512 scale) {
    __m512 part = _mm512_setzero_ps();
#pragma GCC unroll 2
    for (std::size_t i = 0; i < kVectors; ++i) part = dot(numbers[i], x + 32 * i, part);
    sum = _mm512_fmadd_ps(part, scale, sum);
  }
  [[gnu::always_inline]] static void add_scaled(__m512& sum, const uint16_t* x,
                                                const __m512i (&numbers)[4], __m512 scale) {
    const __m512 half = dot(numbers[1], x + 32, dot(numbers[0], x, _mm512_setzero_ps()));
    sum = _mm512_fmadd_ps(dot(numbers[3], x + 96, dot(numbers[2], x + 64, half)), scale, sum);
  }
  [[gnu::always_inline]] static void add_scaled(__m512& sum, const uint16_t* x,
                                                const __m512i (&numbers)[4], __m512 even,
                                                __m512 odd) {
    const __m512 zero = _mm512_setzero_ps();
    sum = _mm512_fmadd_ps(dot(numbers[2], x + 64, dot(numbers[0], x, zero)), even, sum);
    sum = _mm512_fmadd_ps(dot(numbers[3], x + 96, dot(numbers[1], x + 32, zero)), odd, sum);
  }
  [[gnu::always_inline]] static void add_scaled(__m512& sum, const uint16_t* x,
                                                const __m512i (&numbers)[4], __m512 first,
                                                __m512 second, __m512 third, __m512 fourth) {
    const __m512 zero = _mm512_setzero_ps();
    sum = _mm512_fmadd_ps(dot(numbers[0], x, zero), first, sum);
    sum = _mm512_fmadd_ps(dot(numbers[1], x + 32, zero), second, sum);
    sum = _mm512_fmadd_ps(dot(numbers[2], x + 64, zero), third, sum);
    sum = _mm512_fmadd_ps(dot(numbers[3], x + 96, zero), fourth, sum);
  }
  // sum + numbers . x; GCC 12 spills the accumulator of the intrinsic. A single row of x stays in
  // registers for all rows of the weight, more do not fit.
  [[gnu::always_inline]] static __m512 dot(__m512i numbers, const uint16_t* x, __m512 sum) {
    if constexpr (kRows == 1)
      asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(numbers), "v"(_mm512_loadu_si512(x)));
    else
      asm("vdpbf16ps %2, %1, %0"
          : "+v"(sum)
          : "v"(numbers), "m"(*reinterpret_cast<const __m512i*>(x)));
    return sum;
  }

  const uint16_t* x_;
  uint64_t stride_;
  __m512 sums_[kWeights][kRows] = {};
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
