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
inline Floats to_floats(Ints a) {
  return {_mm512_cvtepi32_ps(a.v)};
}
// The largest lane, of numbers without a NaN.
inline float largest_of(Floats a) {
  return _mm512_reduce_max_ps(a.v);
}
inline float smallest_of(Floats a) {
  return _mm512_reduce_min_ps(a.v);
}

// Tables of 16 numbers.
struct Table16 {
  __m512 v;
  static Table16 load(const float* values) { return {_mm512_loadu_ps(values)}; }
  Floats operator[](Ints index) const { return {_mm512_permutexvar_ps(index.v, v)}; }
};

// The low byte of each lane.
inline void store_bytes(uint8_t* to, Ints values) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(values.v));
}
// Toward zero; what int32 cannot hold becomes its smallest number, as a cast does on x86.
inline Ints truncate(Floats values) {
  return {_mm512_cvttps_epi32(values.v)};
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
