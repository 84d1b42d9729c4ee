// The types of lanes.h with AVX-512.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline constexpr int kLanes = 16;

struct Mask {
  __mmask16 bits;
};
struct Floats {
  __m512 v;
  static Floats of(float value) { return {_mm512_set1_ps(value)}; }
  static Floats load(const float* from) { return {_mm512_loadu_ps(from)}; }
  // Element `lane` comes from from[lane * stride].
  static Floats gather(const float* from, int stride) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return {_mm512_i32gather_ps(_mm512_mullo_epi32(lane, _mm512_set1_epi32(stride)), from, 4)};
  }
  void store(float* to) const { _mm512_storeu_ps(to, v); }
};
struct Ints {
  __m512i v;
  static Ints of(int32_t value) { return {_mm512_set1_epi32(value)}; }
  static Ints load(const int32_t* from) { return {_mm512_loadu_si512(from)}; }
  // One byte or 16-bit number a lane.
  static Ints load(const uint8_t* from) {
    return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
  }
  static Ints load(const int8_t* from) {
    return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
  }
  static Ints load(const uint16_t* from) {
    return {_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
  }
  // Element `lane` is the 32 bits from element index[lane] on.
  template <typename Element>
  static Ints gather(const Element* from, Ints index) {
    return {_mm512_i32gather_epi32(index.v, from, sizeof(Element))};
  }
  void store(int32_t* to) const { _mm512_storeu_si512(to, v); }
};

inline Floats operator+(Floats a, Floats b) {
  return {_mm512_add_ps(a.v, b.v)};
}
inline Floats operator-(Floats a, Floats b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
inline Floats operator*(Floats a, Floats b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
inline Floats operator/(Floats a, Floats b) {
  return {_mm512_div_ps(a.v, b.v)};
}
// a < b ? a : b, so a NaN in either gives b.
inline Floats min(Floats a, Floats b) {
  return {_mm512_min_ps(a.v, b.v)};
}
inline Floats max(Floats a, Floats b) {
  return {_mm512_max_ps(a.v, b.v)};
}
inline Floats abs(Floats a) {
  return {_mm512_abs_ps(a.v)};
}
inline Floats sqrt(Floats a) {
  return {_mm512_sqrt_ps(a.v)};
}
// The nearest integer, ties to even.
inline Floats nearest(Floats a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// False where either is a NaN, as in C.
inline Mask operator<(Floats a, Floats b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)};
}
inline Mask operator<=(Floats a, Floats b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)};
}
// True where either is a NaN.
inline Mask not_less(Floats a, Floats b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NLT_UQ)};
}
inline Mask not_less_or_equal(Floats a, Floats b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_NLE_UQ)};
}
inline Mask operator==(Floats a, Floats b) {
  return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ)};
}
inline Mask operator&(Mask a, Mask b) {
  return {static_cast<__mmask16>(a.bits & b.bits)};
}
inline Mask operator|(Mask a, Mask b) {
  return {static_cast<__mmask16>(a.bits | b.bits)};
}
inline Mask operator!(Mask a) {
  return {static_cast<__mmask16>(~a.bits)};
}
// Bit i is lane i.
inline uint32_t bits_of(Mask a) {
  return a.bits;
}
inline bool any(Mask a) {
  return a.bits != 0;
}
inline bool all(Mask a) {
  return a.bits == 0xffff;
}
// Whether a lane of either is a NaN.
inline bool any_nan(Floats a, Floats b) {
  return _mm512_cmp_ps_mask(a.v, b.v, _CMP_UNORD_Q) != 0;
}
inline Floats select(Mask mask, Floats yes, Floats no) {
  return {_mm512_mask_blend_ps(mask.bits, no.v, yes.v)};
}
// index + step where the mask is set.
inline Ints add_where(Mask mask, Ints index, Ints step) {
  return {_mm512_mask_add_epi32(index.v, mask.bits, index.v, step.v)};
}

inline Ints min(Ints a, Ints b) {
  return {_mm512_min_epi32(a.v, b.v)};
}
inline Ints max(Ints a, Ints b) {
  return {_mm512_max_epi32(a.v, b.v)};
}
inline Ints operator+(Ints a, Ints b) {
  return {_mm512_add_epi32(a.v, b.v)};
}
inline Ints operator-(Ints a, Ints b) {
  return {_mm512_sub_epi32(a.v, b.v)};
}
inline Ints operator<<(Ints a, int count) {
  return {_mm512_slli_epi32(a.v, static_cast<unsigned>(count))};
}
inline Ints operator>>(Ints a, int count) {
  return {_mm512_srli_epi32(a.v, static_cast<unsigned>(count))};
}
// Each lane by its own count.
inline Ints operator>>(Ints a, Ints counts) {
  return {_mm512_srlv_epi32(a.v, counts.v)};
}
inline Ints operator*(Ints a, Ints b) {
  return {_mm512_mullo_epi32(a.v, b.v)};
}
inline Ints operator|(Ints a, Ints b) {
  return {_mm512_or_si512(a.v, b.v)};
}
inline Ints operator&(Ints a, Ints b) {
  return {_mm512_and_si512(a.v, b.v)};
}
// The bits of the numbers.
inline Ints as_ints(Floats a) {
  return {_mm512_castps_si512(a.v)};
}
inline Mask any_bit(Ints a, Ints bits) {
  return {_mm512_test_epi32_mask(a.v, bits.v)};
}
inline Floats as_floats(Ints a) {
  return {_mm512_castsi512_ps(a.v)};
}
inline Mask operator==(Ints a, Ints b) {
  return {_mm512_cmpeq_epi32_mask(a.v, b.v)};
}
// Lane i is set where bit i is.
inline Mask mask_of(uint32_t bits) {
  return {static_cast<__mmask16>(bits)};
}
inline Floats to_floats(Ints a) {
  return {_mm512_cvtepi32_ps(a.v)};
}
// The largest lane, of numbers without a NaN.
inline float largest_of(Floats a) {
  return _mm512_reduce_max_ps(a.v);
}
// Of all lanes.
inline float sum_of(Floats a) {
  return _mm512_reduce_add_ps(a.v);
}
inline int32_t sum_of(Ints a) {
  return _mm512_reduce_add_epi32(a.v);
}
inline int32_t largest_of(Ints a) {
  return _mm512_reduce_max_epi32(a.v);
}
inline float smallest_of(Floats a) {
  return _mm512_reduce_min_ps(a.v);
}

// Toward zero; what int32 cannot hold becomes its smallest number, as a cast does on x86.
inline Ints truncate(Floats values) {
  return {_mm512_cvttps_epi32(values.v)};
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
