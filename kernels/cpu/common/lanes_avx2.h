// The types of lanes.h with AVX2.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline constexpr int kLanes = 8;

struct Mask {
  __m256 v;
};
struct Floats {
  __m256 v;
  static Floats of(float value) { return {_mm256_set1_ps(value)}; }
  static Floats load(const float* from) { return {_mm256_loadu_ps(from)}; }
  static Floats gather(const float* from, int stride) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_i32gather_ps(from, _mm256_mullo_epi32(lane, _mm256_set1_epi32(stride)), 4)};
  }
  void store(float* to) const { _mm256_storeu_ps(to, v); }
};
struct Ints {
  __m256i v;
  static Ints of(int32_t value) { return {_mm256_set1_epi32(value)}; }
  static Ints load(const int32_t* from) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))};
  }
  // One byte or 16-bit number a lane.
  static Ints load(const uint8_t* from) {
    return {_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)))};
  }
  static Ints load(const int8_t* from) {
    return {_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)))};
  }
  static Ints load(const uint16_t* from) {
    return {_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
  }
  template <typename Element>
  static Ints gather(const Element* from, Ints index) {
    return {_mm256_i32gather_epi32(reinterpret_cast<const int*>(from), index.v, sizeof(Element))};
  }
  void store(int32_t* to) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), v); }
};

inline Floats operator+(Floats a, Floats b) {
  return {_mm256_add_ps(a.v, b.v)};
}
inline Floats operator-(Floats a, Floats b) {
  return {_mm256_sub_ps(a.v, b.v)};
}
inline Floats operator*(Floats a, Floats b) {
  return {_mm256_mul_ps(a.v, b.v)};
}
inline Floats operator/(Floats a, Floats b) {
  return {_mm256_div_ps(a.v, b.v)};
}
inline Floats min(Floats a, Floats b) {
  return {_mm256_min_ps(a.v, b.v)};
}
inline Floats max(Floats a, Floats b) {
  return {_mm256_max_ps(a.v, b.v)};
}
inline Floats abs(Floats a) {
  return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)};
}
inline Floats sqrt(Floats a) {
  return {_mm256_sqrt_ps(a.v)};
}
inline Floats nearest(Floats a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline Mask operator<(Floats a, Floats b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)};
}
inline Mask operator<=(Floats a, Floats b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)};
}
inline Mask not_less(Floats a, Floats b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_NLT_UQ)};
}
inline Mask not_less_or_equal(Floats a, Floats b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_NLE_UQ)};
}
inline Mask operator==(Floats a, Floats b) {
  return {_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)};
}
inline Mask operator&(Mask a, Mask b) {
  return {_mm256_and_ps(a.v, b.v)};
}
inline Mask operator|(Mask a, Mask b) {
  return {_mm256_or_ps(a.v, b.v)};
}
inline Mask operator!(Mask a) {
  return {_mm256_xor_ps(a.v, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))};
}
inline uint32_t bits_of(Mask a) {
  return static_cast<uint32_t>(_mm256_movemask_ps(a.v));
}
inline bool any(Mask a) {
  return _mm256_movemask_ps(a.v) != 0;
}
inline bool all(Mask a) {
  return _mm256_movemask_ps(a.v) == 0xff;
}
inline bool any_nan(Floats a, Floats b) {
  return _mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_UNORD_Q)) != 0;
}
inline Floats select(Mask mask, Floats yes, Floats no) {
  return {_mm256_blendv_ps(no.v, yes.v, mask.v)};
}
inline Ints add_where(Mask mask, Ints index, Ints step) {
  return {_mm256_add_epi32(index.v, _mm256_and_si256(_mm256_castps_si256(mask.v), step.v))};
}

inline Ints min(Ints a, Ints b) {
  return {_mm256_min_epi32(a.v, b.v)};
}
inline Ints max(Ints a, Ints b) {
  return {_mm256_max_epi32(a.v, b.v)};
}
inline Ints operator+(Ints a, Ints b) {
  return {_mm256_add_epi32(a.v, b.v)};
}
inline Ints operator-(Ints a, Ints b) {
  return {_mm256_sub_epi32(a.v, b.v)};
}
inline Ints operator<<(Ints a, int count) {
  return {_mm256_slli_epi32(a.v, count)};
}
inline Ints operator>>(Ints a, int count) {
  return {_mm256_srli_epi32(a.v, count)};
}
inline Ints operator>>(Ints a, Ints counts) {
  return {_mm256_srlv_epi32(a.v, counts.v)};
}
inline Ints operator*(Ints a, Ints b) {
  return {_mm256_mullo_epi32(a.v, b.v)};
}
inline Ints operator|(Ints a, Ints b) {
  return {_mm256_or_si256(a.v, b.v)};
}
inline Ints operator&(Ints a, Ints b) {
  return {_mm256_and_si256(a.v, b.v)};
}
inline Ints as_ints(Floats a) {
  return {_mm256_castps_si256(a.v)};
}
inline Mask any_bit(Ints a, Ints bits) {
  const __m256i none = _mm256_cmpeq_epi32(_mm256_and_si256(a.v, bits.v), _mm256_setzero_si256());
  return {_mm256_castsi256_ps(_mm256_xor_si256(none, _mm256_set1_epi32(-1)))};
}
inline Floats as_floats(Ints a) {
  return {_mm256_castsi256_ps(a.v)};
}
inline Mask operator==(Ints a, Ints b) {
  return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.v, b.v))};
}
inline Mask mask_of(uint32_t bits) {
  const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return Ints{_mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), lane)} == Ints{lane};
}
inline Floats to_floats(Ints a) {
  return {_mm256_cvtepi32_ps(a.v)};
}
inline float largest_of(Floats a) {
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}
inline float sum_of(Floats a) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline int32_t sum_of(Ints a) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
inline int32_t largest_of(Ints a) {
  const __m128i four = _mm_max_epi32(_mm256_castsi256_si128(a.v), _mm256_extracti128_si256(a.v, 1));
  const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
inline float smallest_of(Floats a) {
  return -largest_of(Floats::of(-1) * a);
}

inline Ints truncate(Floats values) {
  return {_mm256_cvttps_epi32(values.v)};
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
