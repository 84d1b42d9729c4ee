/* Reading and writing single numbers of the dtypes that weights have, for plugins in C.
 *
 * float32, float16 (IEEE 754 binary16) and bfloat16 (the upper half of a float32). Addresses need
 * no alignment. Numbers are rounded to nearest, ties to even; NaN stays NaN, infinity infinity.
 * nvcc and hipcc compile them for the device too.
 */
#ifndef PRECIS_SDK_NUMBERS_H
#define PRECIS_SDK_NUMBERS_H

#include <precis/base.h>
#include <string.h>

#if defined(__CUDACC__) || defined(__HIPCC__)
#define PRECIS_NUMBERS_INLINE __host__ __device__ static inline
#else
#define PRECIS_NUMBERS_INLINE static inline
#endif

PRECIS_NUMBERS_INLINE int precis_same_dtype(precis_dtype a, precis_dtype b) {
  return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes;
}

/* Whether the functions below take this dtype. */
PRECIS_NUMBERS_INLINE int precis_is_weight_dtype(precis_dtype dtype) {
  if (dtype.lanes != 1) return 0;
  if (dtype.code == PRECIS_TYPE_BFLOAT) return dtype.bits == 16;
  return dtype.code == PRECIS_TYPE_FLOAT && (dtype.bits == 32 || dtype.bits == 16);
}

PRECIS_NUMBERS_INLINE float precis_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
PRECIS_NUMBERS_INLINE uint32_t precis_to_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

PRECIS_NUMBERS_INLINE float precis_from_half(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u)
    return precis_from_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  if (magnitude >= 0x400u) return precis_from_bits(sign | ((magnitude << 13) + 0x38000000u));
  /* Subnormal: a multiple of 2^-24. */
  return (sign != 0 ? -1.0f : 1.0f) * (float)magnitude * (1.0f / 16777216.0f);
}

PRECIS_NUMBERS_INLINE uint16_t precis_to_half(float value) {
  const uint32_t bits = precis_to_bits(value), magnitude = bits & 0x7fffffffu;
  const uint32_t sign = bits >> 16 & 0x8000u;
  if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* rounds to infinity */
  /* Below 2^-14 results are multiples of 2^-24, which is the unit in the last place of 0.5. */
  if (magnitude < 0x38800000u)
    return (uint16_t)(sign | (precis_to_bits(precis_from_bits(magnitude) + 0.5f) - 0x3f000000u));
  return (uint16_t)(sign | (magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u) >> 13);
}

PRECIS_NUMBERS_INLINE uint16_t precis_to_bfloat(float value) {
  const uint32_t bits = precis_to_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
  return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* The number at `at`; dtype as precis_is_weight_dtype takes it. */
PRECIS_NUMBERS_INLINE float precis_load(precis_dtype dtype, const void* at) {
  uint16_t narrow;
  float value;
  if (dtype.bits == 32) {
    memcpy(&value, at, sizeof value);
    return value;
  }
  memcpy(&narrow, at, sizeof narrow);
  return dtype.code == PRECIS_TYPE_BFLOAT ? precis_from_bits((uint32_t)narrow << 16)
                                          : precis_from_half(narrow);
}

/* Writes `value` to `at`; dtype as precis_is_weight_dtype takes it. */
PRECIS_NUMBERS_INLINE void precis_store(precis_dtype dtype, float value, void* at) {
  if (dtype.bits == 32) {
    memcpy(at, &value, sizeof value);
    return;
  }
  const uint16_t narrow =
      dtype.code == PRECIS_TYPE_BFLOAT ? precis_to_bfloat(value) : precis_to_half(value);
  memcpy(at, &narrow, sizeof narrow);
}

#undef PRECIS_NUMBERS_INLINE

#endif
