// The largest lanes of several vectors at once, in a third of the steps that one after another
// take.
#pragma once

#include "kernels/cpu/common/lanes.h"

#if PRECIS_LANES > 1
namespace precis::kernels {
inline namespace PRECIS_ISA {

// Lane i: the largest of parts[i].
inline Ints largest_of_each(const Ints (&parts)[kLanes]) {
#if PRECIS_LANES == 16
  // Quarter j of four[k]: the largest numbers of parts[4 k + j], four of them.
  __m512i four[4];
  for (int k = 0; k < 4; ++k) {
    const auto halves = [&](int i) {
      const __m512i a = parts[4 * k + i].v, b = parts[4 * k + i + 1].v;
      return _mm512_max_epi32(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xee));
    };
    const __m512i first = halves(0), last = halves(2);
    four[k] = _mm512_max_epi32(_mm512_shuffle_i32x4(first, last, 0x88),
                               _mm512_shuffle_i32x4(first, last, 0xdd));
  }
  const auto pairs = [&](int k) {
    return _mm512_max_epi32(_mm512_unpacklo_epi32(four[k], four[k + 1]),
                            _mm512_unpackhi_epi32(four[k], four[k + 1]));
  };
  const __m512i first = pairs(0), last = pairs(2);
  const __m512i turned =
      _mm512_max_epi32(_mm512_unpacklo_epi64(first, last), _mm512_unpackhi_epi64(first, last));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return {_mm512_permutexvar_epi32(order, turned)};
#elif defined(__AVX2__)
  const auto pairs = [&](int i) {
    return _mm256_max_epi32(_mm256_unpacklo_epi32(parts[i].v, parts[i + 1].v),
                            _mm256_unpackhi_epi32(parts[i].v, parts[i + 1].v));
  };
  const auto fours = [&](int i) {
    const __m256i first = pairs(i), last = pairs(i + 2);
    return _mm256_max_epi32(_mm256_unpacklo_epi64(first, last), _mm256_unpackhi_epi64(first, last));
  };
  const __m256i first = fours(0), last = fours(4);
  return {_mm256_max_epi32(_mm256_permute2x128_si256(first, last, 0x20),
                           _mm256_permute2x128_si256(first, last, 0x31))};
#else
  int32_t largest[kLanes];
  for (int i = 0; i < kLanes; ++i) largest[i] = largest_of(parts[i]);
  return Ints::load(largest);
#endif
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
#endif
