// Sums of integer products in registers, as RowDot's rows add to them where x is in integers of 8
// bits (RowDot::takes_codes).
#pragma once

#include "kernels/cpu/linear/row_sums_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// 32 codes in the order of their columns.
struct Codes32 {
  __m256i bytes;  // signed
};
struct UnsignedCodes32 {
  __m256i bytes;  // below 128
};
struct Multiplier {
  __m256i magnitudes, signs;
  __m256i pairs(__m256i x) const {
    return _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(x, signs));
  }
};
struct UnsignedMultiplier {
  __m256i codes;
  __m256i pairs(__m256i x) const { return _mm256_maddubs_epi16(codes, x); }
};
inline Multiplier multiplier(Codes32 codes) {
  return {_mm256_abs_epi8(codes.bytes), codes.bytes};
}
inline UnsignedMultiplier multiplier(UnsignedCodes32 codes) {
  return {codes.bytes};
}

// The factors of a unit: the same for all of it, or of its first and its last 16 columns.
template <int kScales>
[[gnu::always_inline]] inline __m256 unit_factors(const float* factors, int unit) {
  if constexpr (kScales == 1) return _mm256_broadcast_ss(factors + unit);
  const __m256d both = _mm256_broadcast_sd(reinterpret_cast<const double*>(factors + 2 * unit));
  return _mm256_permutevar_ps(_mm256_castpd_ps(both), _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
}

// The products of kWeights rows of the weight with kRows rows of x, whose scales and sums are of
// kBlock columns each, 16 or 32.
template <int kWeights, int kRows, uint64_t kBlock>
class CodeSums {
 public:
  CodeSums(const ActivationRows& x, uint64_t first)
      : x_(static_cast<const int8_t*>(x.numbers) + first * x.stride),
        stride_(x.stride),
        scales_(x.scales + first * (x.stride / kBlock)),
        x_sums_(x.sums + first * (x.stride / kBlock)) {}

  // kUnits times 32 columns; kScales scales for each. codes_of(unit) gives its codes.
  template <int kWeight, int kUnits, int kScales, typename CodesOf>
  [[gnu::always_inline]] void add_units(uint64_t column, const float* scales, CodesOf codes_of) {
    constexpr int kFactors = kUnits * kScales;
    alignas(32) float factors[kRows][kFactors];
    for (uint64_t row = 0; row < kRows; ++row) {
      const float* x_scales = scales_ + row * (stride_ / kBlock) + column / kBlock;
      for (int i = 0; i < kFactors; i += 4) {
        // Numbers of x in blocks of 32 have one scale for both scales of a unit.
        const __m128 of_x = kScales == 2 && kBlock == 32 ? twice_each(x_scales + i / 2)
                                                         : _mm_loadu_ps(x_scales + i);
        _mm_store_ps(factors[row] + i, _mm_mul_ps(_mm_loadu_ps(scales + i), of_x));
      }
    }
    for_units<kUnits>([&](auto unit) __attribute__((always_inline)) {
      const auto codes = multiplier(codes_of(unit()));
      for_rows([&](auto row) __attribute__((always_inline)) {
        const int8_t* at = x_ + row() * stride_ + column + 32 * unit();
        const __m256i pairs = codes.pairs(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
        const __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        __m256& sum = sums_[kWeight][row()][unit() % kChains];
        sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(fours),
                              unit_factors<kScales>(factors[row()], unit()), sum);
      });
    });
  }
  // kCount numbers, 4 or 8, that are added to each of kBlock columns from `column` on.
  template <int kWeight, int kCount>
  [[gnu::always_inline]] void add_offsets(uint64_t column, __m256 offsets) {
    for_rows([&](auto row) __attribute__((always_inline)) {
      const float* x_sums = x_sums_ + row() * (stride_ / kBlock) + column / kBlock;
      const __m256 of_x =
          kCount == 8 ? _mm256_loadu_ps(x_sums) : _mm256_zextps128_ps256(_mm_loadu_ps(x_sums));
      __m256& sum = sums_[kWeight][row()][0];
      sum = _mm256_fmadd_ps(offsets, of_x, sum);
    });
  }
  float sum(int weight, int row) const {
    const auto& chains = sums_[weight][row];
    return sum_of_lanes(kChains == 1 ? chains[0] : _mm256_add_ps(chains[0], chains[kChains - 1]));
  }

 private:
  static constexpr int kChains = kRows == 1 ? 2 : 1;

  static __m128 twice_each(const float* two) {
    const __m128 both = _mm_castpd_ps(_mm_load_sd(reinterpret_cast<const double*>(two)));
    return _mm_unpacklo_ps(both, both);
  }
  template <int kUnits, typename Body>
  [[gnu::always_inline]] static void for_units(Body body) {
    [&]<int... kUnit>(std::integer_sequence<int, kUnit...>) __attribute__((always_inline)) {
      (body(std::integral_constant<int, kUnit>()), ...);
    }
    (std::make_integer_sequence<int, kUnits>());
  }
  template <typename Body>
  [[gnu::always_inline]] static void for_rows(Body body) {
    [&]<uint64_t... kRow>(std::integer_sequence<uint64_t, kRow...>) __attribute__((always_inline)) {
      (body(std::integral_constant<uint64_t, kRow>()), ...);
    }
    (std::make_integer_sequence<uint64_t, kRows>());
  }

  const int8_t* x_;
  uint64_t stride_;
  const float *scales_, *x_sums_;
  __m256 sums_[kWeights][kRows][kChains] = {};
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
