// Sums of float32 numbers in float64, in an order that every instruction set keeps: eight of them
// side by side, which take the numbers in turn.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/common/lanes.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

class EightSums {
 public:
#if PRECIS_LANES == 16
  void add(Floats values) {
    sums_ = _mm512_add_pd(sums_, _mm512_cvtps_pd(_mm512_castps512_ps256(values.v)));
    sums_ = _mm512_add_pd(sums_, _mm512_cvtps_pd(_mm512_extractf32x8_ps(values.v, 1)));
  }
#elif defined(__AVX2__)
  void add(Floats values) {
    low_ = _mm256_add_pd(low_, _mm256_cvtps_pd(_mm256_castps256_ps128(values.v)));
    high_ = _mm256_add_pd(high_, _mm256_cvtps_pd(_mm256_extractf128_ps(values.v, 1)));
  }
#elif PRECIS_LANES > 1
  void add(Floats values) {
    float numbers[kLanes];
    values.store(numbers);
    add(numbers, kLanes);
  }
#endif
  // What is left of whole eights goes to the first sum.
  void add(const float* values, uint64_t count) {
    double sums[8];
    store(sums);
    uint64_t i = 0;
    for (; i + 8 <= count; i += 8) {
      for (uint64_t k = 0; k < 8; ++k) sums[k] += static_cast<double>(values[i + k]);
    }
    for (; i < count; ++i) sums[0] += static_cast<double>(values[i]);
    load(sums);
  }
  double total() const {
    double sums[8];
    store(sums);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
           ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  }

 private:
#if PRECIS_LANES == 16
  void load(const double* from) {
    sums_ = _mm512_loadu_pd(from);
  }
  void store(double* to) const {
    _mm512_storeu_pd(to, sums_);
  }
  __m512d sums_ = _mm512_setzero_pd();
#elif defined(__AVX2__)
  void load(const double* from) {
    low_ = _mm256_loadu_pd(from);
    high_ = _mm256_loadu_pd(from + 4);
  }
  void store(double* to) const {
    _mm256_storeu_pd(to, low_);
    _mm256_storeu_pd(to + 4, high_);
  }
  __m256d low_ = _mm256_setzero_pd(), high_ = _mm256_setzero_pd();
#else
  void load(const double* from) {
    std::copy_n(from, 8, sums_);
  }
  void store(double* to) const {
    std::copy_n(sums_, 8, to);
  }
  double sums_[8] = {};
#endif
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
