// Ranks of numbers among 15 bounds, a number a lane.
#pragma once

#include "kernels/cpu/common/lanes.h"

#if PRECIS_LANES > 1
namespace precis::kernels {
inline namespace PRECIS_ISA {

#if defined(__AVX2__) && PRECIS_LANES == 8

// How many of 15 rising bounds lie below the value, or at it when kEqual: a NaN lies above all.
template <bool kEqual>
class Ranks15 {
 public:
  explicit Ranks15(const float* bounds) {
    float quarters[8] = {}, eighths[8];
    for (int i = 0; i < 4; ++i) quarters[-i & 7] = bounds[4 * i + 1];
    for (int i = 0; i < 8; ++i) eighths[-i & 7] = bounds[2 * i];
    middle_ = Floats::of(bounds[7]), low_ = Floats::of(bounds[3]), high_ = Floats::of(bounds[11]);
    quarters_ = Floats::load(quarters), eighths_ = Floats::load(eighths);
  }
  Ints operator()(Floats value) const {
    // Where a bound is passed there is -1: ranks are counted downward, and bounds stand so.
    const __m256i first = passed(value, middle_.v);
    const __m256 second = _mm256_blendv_ps(low_.v, high_.v, _mm256_castsi256_ps(first));
    const __m256i half = doubled(first, passed(value, second));
    const __m256 third = _mm256_permutevar8x32_ps(quarters_.v, half);
    const __m256i quarter = doubled(half, passed(value, third));
    const __m256 fourth = _mm256_permutevar8x32_ps(eighths_.v, quarter);
    return {_mm256_sub_epi32(_mm256_setzero_si256(), doubled(quarter, passed(value, fourth)))};
  }

 private:
  static __m256i passed(Floats value, __m256 bound) {
    return _mm256_castps_si256(_mm256_cmp_ps(value.v, bound, kEqual ? _CMP_NLT_UQ : _CMP_NLE_UQ));
  }
  static __m256i doubled(__m256i rank, __m256i step) {
    return _mm256_add_epi32(_mm256_add_epi32(rank, rank), step);
  }
  Floats middle_, low_, high_, quarters_, eighths_;
};

#else

// How many of 15 rising bounds lie below the value, or at it when kEqual: a NaN lies above all.
template <bool kEqual>
class Ranks15 {
 public:
  explicit Ranks15(const float* bounds) {
    float steps[3][16];
    for (int i = 0; i < 16; ++i) {
      steps[0][i] = bounds[i + 3 < 15 ? i + 3 : 14];
      steps[1][i] = bounds[i + 1 < 15 ? i + 1 : 14];
      steps[2][i] = bounds[i < 15 ? i : 14];
    }
    middle_ = Floats::of(bounds[7]);
    for (int step = 0; step < 3; ++step) steps_[step] = Table16::load(steps[step]);
  }
  Ints operator()(Floats value) const {
    Ints rank = add_where(above(value, middle_), Ints::of(0), Ints::of(8));
    rank = add_where(above(value, steps_[0][rank]), rank, Ints::of(4));
    rank = add_where(above(value, steps_[1][rank]), rank, Ints::of(2));
    return add_where(above(value, steps_[2][rank]), rank, Ints::of(1));
  }

 private:
  static Mask above(Floats value, Floats bound) {
    return kEqual ? not_less(value, bound) : not_less_or_equal(value, bound);
  }
  Floats middle_;
  Table16 steps_[3];
};

#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
#endif
