// Lines and tables of numbers with AVX-512: what lanes are stored as, and looked up in.
#pragma once

#include "kernels/cpu/common/bytes_avx2.h"
#include "kernels/cpu/common/lanes_avx512.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Tables of 16 numbers.
struct Table16 {
  __m512 v;
  static Table16 load(const float* values) { return {_mm512_loadu_ps(values)}; }
  Floats operator[](Ints index) const { return {_mm512_permutexvar_ps(index.v, v)}; }
};

// IEEE binary16 both ways, rounded to nearest, ties to even.
inline Floats load_halves(const void* from) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)))};
}
inline Floats round_through_half(Floats a) {
  return {_mm512_cvtph_ps(_mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT))};
}
inline Floats half_bits_to_floats(Ints bits) {
  return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(bits.v))};
}

// E4M3FN by way of binary16 with the same exponent field, a 256th of the number; a NaN becomes one
// of binary16. Exact, subnormal numbers included, whatever the rounding mode.
inline Floats load_float8_e4m3fn(const uint8_t* from) {
  const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  const __m256i wide = _mm256_slli_epi16(_mm256_cvtepi8_epi16(codes), 7);
  const __m256i halves = _mm256_and_si256(wide, _mm256_set1_epi16(static_cast<short>(0xbf80)));
  const __m256i full = _mm256_set1_epi16(0x3f80);
  const __mmask16 nan = _mm256_cmpeq_epi16_mask(_mm256_and_si256(halves, full), full);
  const __m256i all =
      _mm256_mask_blend_epi16(nan, halves, _mm256_or_si256(halves, _mm256_set1_epi16(0x7c00)));
  return {_mm512_mul_ps(_mm512_cvtph_ps(all), _mm512_set1_ps(256))};
}

// 64 bytes of numbers, ready to be stored at once: 16 float32, or 32 narrower ones.
using Line = __m512i;
inline constexpr uint64_t kLineBytes = 64;
inline Line line_of(Floats a) {
  return _mm512_castps_si512(a.v);
}
inline Line line_of_halves(Floats a, Floats b) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT)),
                            _mm512_cvtps_ph(b.v, _MM_FROUND_TO_NEAREST_INT), 1);
}
// The upper 16 bits of every lane.
inline Line line_of_upper(Ints a, Ints b) {
  alignas(64) static constexpr uint16_t kOdd[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21,
                                                    23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43,
                                                    45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
  return _mm512_permutex2var_epi16(a.v, _mm512_load_si512(kOdd), b.v);
}
#if defined(__AVX512BF16__)
// Whether no lane is subnormal or a NaN: the instruction below takes the one for 0 and keeps bits
// of the other.
inline bool are_normal(Floats a, Floats b) {
  constexpr int kNanOrSubnormal = 0xa1;
  return (_mm512_fpclass_ps_mask(a.v, kNanOrSubnormal) |
          _mm512_fpclass_ps_mask(b.v, kNanOrSubnormal)) == 0;
}
// Rounded to nearest, ties to even.
inline Line line_of_bfloat16(Floats a, Floats b) {
  return (__m512i)_mm512_cvtne2ps_pbh(b.v, a.v);
}
#endif
// Tables of 16 two-byte numbers. words: the 16, twice.
struct Words16 {
  Line words;
  // The numbers of 32 codes.
  Line operator[](const uint8_t* codes) const {
    const __m256i index = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
    return _mm512_permutexvar_epi16(_mm512_cvtepu8_epi16(index), words);
  }
};
// The 64 codes of 32 bytes, the high nibble of each first.
inline void unpack_nibbles(const uint8_t* packed, uint8_t* codes) {
  const __m512i both =
      _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(packed)));
  const __m512i pairs = _mm512_or_si512(_mm512_srli_epi16(both, 4), _mm512_slli_epi16(both, 8));
  _mm512_storeu_si512(codes, _mm512_and_si512(pairs, _mm512_set1_epi8(15)));
}

inline Line load_line(const void* from) {
  return _mm512_loadu_si512(from);
}
inline void store(void* to, Line line) {
  _mm512_storeu_si512(to, line);
}
// Past the caches; `to` is aligned to kLineBytes.
inline void stream(void* to, Line line) {
  _mm512_stream_si512(static_cast<__m512i*>(to), line);
}
// Makes streamed lines visible to other threads, as plain stores are.
inline void order_streamed() {
  _mm_sfence();
}

// The low byte of each lane.
inline void store_bytes(uint8_t* to, Ints values) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(values.v));
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
