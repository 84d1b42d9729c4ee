// Lines and tables of numbers with AVX2: what lanes are stored as, and looked up in.
#pragma once

#include "kernels/cpu/common/bytes_avx2.h"
#include "kernels/cpu/common/lanes_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

struct Table16 {
  __m256 low, high;
  static Table16 load(const float* values) {
    return {_mm256_loadu_ps(values), _mm256_loadu_ps(values + 8)};
  }
  Floats operator[](Ints index) const {
    // The fourth bit of the index, moved to the sign, chooses the half.
    const __m256 upper = _mm256_castsi256_ps(_mm256_slli_epi32(index.v, 28));
    return {_mm256_blendv_ps(_mm256_permutevar8x32_ps(low, index.v),
                             _mm256_permutevar8x32_ps(high, index.v), upper)};
  }
};

inline Floats load_halves(const void* from) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)))};
}
inline Floats round_through_half(Floats a) {
  return {_mm256_cvtph_ps(_mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT))};
}
inline Floats half_bits_to_floats(Ints bits) {
  const __m128i halves =
      _mm_packus_epi32(_mm256_castsi256_si128(bits.v), _mm256_extracti128_si256(bits.v, 1));
  return {_mm256_cvtph_ps(halves)};
}

inline Floats load_float8_e4m3fn(const uint8_t* from) {
  return {eight_float8_e4m3fn(from)};
}

using Line = __m256i;
inline constexpr uint64_t kLineBytes = 32;
inline Line line_of(Floats a) {
  return _mm256_castps_si256(a.v);
}
inline Line line_of_halves(Floats a, Floats b) {
  return _mm256_set_m128i(_mm256_cvtps_ph(b.v, _MM_FROUND_TO_NEAREST_INT),
                          _mm256_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT));
}
inline Line line_of_upper(Ints a, Ints b) {
  const __m256i halves =
      _mm256_packus_epi32(_mm256_srli_epi32(a.v, 16), _mm256_srli_epi32(b.v, 16));
  return _mm256_permute4x64_epi64(halves, 0xd8);
}
// The bytes of each number are looked up apart.
struct Words16 {
  __m256i low, high;
  explicit Words16(Line words)
      : low(both_lanes(_mm256_and_si256(words, _mm256_set1_epi16(255)))),
        high(both_lanes(_mm256_srli_epi16(words, 8))) {}
  // The numbers of 16 codes.
  Line operator[](const uint8_t* codes) const {
    const __m256i index =
        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
    // An index with its top bit set looks up a 0.
    const __m256i lower =
        _mm256_shuffle_epi8(low, _mm256_or_si256(index, _mm256_set1_epi16(-0x8000)));
    const __m256i upper = _mm256_shuffle_epi8(
        high, _mm256_or_si256(_mm256_slli_epi16(index, 8), _mm256_set1_epi16(0x80)));
    return _mm256_or_si256(lower, upper);
  }

 private:
  static __m256i both_lanes(__m256i words) {
    return _mm256_broadcastsi128_si256(
        _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
  }
};
inline void unpack_nibbles(const uint8_t* packed, uint8_t* codes) {
  for (int i = 0; i < 2; ++i) {
    const __m256i both =
        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(packed + 16 * i)));
    const __m256i pairs = _mm256_or_si256(_mm256_srli_epi16(both, 4), _mm256_slli_epi16(both, 8));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes + 32 * i),
                        _mm256_and_si256(pairs, _mm256_set1_epi8(15)));
  }
}

inline Line load_line(const void* from) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}
inline void store(void* to, Line line) {
  _mm256_storeu_si256(static_cast<__m256i*>(to), line);
}
inline void stream(void* to, Line line) {
  _mm256_stream_si256(static_cast<__m256i*>(to), line);
}
inline void order_streamed() {
  _mm_sfence();
}

// The low byte of each lane.
// Of 32 numbers below 256.
inline __m256i low_bytes(Ints a, Ints b, Ints c, Ints d) {
  const __m256i bytes =
      _mm256_packus_epi16(_mm256_packus_epi32(a.v, b.v), _mm256_packus_epi32(c.v, d.v));
  return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
inline void store_bytes(uint8_t* to, Ints values) {
  const __m256i low = _mm256_and_si256(values.v, _mm256_set1_epi32(0xff));
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
