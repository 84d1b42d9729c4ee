// The integers of the codebook types, 32 columns at a time, and their scales.
#pragma once

#include "kernels/cpu/gguf/iq_grids.h"
#include "kernels/cpu/gguf/k_rows_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Four entries of eight columns each.
[[gnu::always_inline]] inline __m256i look_up(const int8_t (*grid)[8], uint32_t a, uint32_t b,
                                              uint32_t c, uint32_t d) {
  const auto pair = [&](uint32_t first, uint32_t last) {
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(grid[first]));
    return _mm_castps_si128(
        _mm_loadh_pi(_mm_castsi128_ps(low), reinterpret_cast<const __m64*>(grid[last])));
  };
  return _mm256_set_m128i(pair(c, d), pair(a, b));
}
// Eight entries of four columns each.
template <typename Index>
[[gnu::always_inline]] inline __m256i look_up(const int8_t (*grid)[4], Index index) {
  const auto entry = [&](int i) {
    return static_cast<int>(load_u32(reinterpret_cast<const uint8_t*>(grid[index(i)])));
  };
  return _mm256_setr_epi32(entry(0), entry(1), entry(2), entry(3), entry(4), entry(5), entry(6),
                           entry(7));
}

// Magnitudes with the signs of 32 bits.
inline __m256i with_signs(__m256i magnitudes, uint32_t bits) {
  const __m256i minus = bytes_with(bits);
  return _mm256_sub_epi8(_mm256_xor_si256(magnitudes, minus), minus);
}
// The signs of 32 columns from the first 7 of each 8: the eighth makes their number even.
inline uint32_t even_signs(uint32_t sevens) {
  const uint32_t signs = _pdep_u32(sevens, 0x7f7f7f7f);
  uint32_t parity = signs ^ signs >> 4;
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return signs | (parity & 0x01010101) << 7;
}

// (number + half) * factor of eight bytes.
inline __m256 scales_of(__m128i numbers, float half, float factor) {
  return _mm256_mul_ps(
      _mm256_add_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(numbers)), _mm256_set1_ps(half)),
      _mm256_set1_ps(factor));
}
inline void store_8_scales(__m128i numbers, float factor, float* scales) {
  _mm256_store_ps(scales, scales_of(numbers, 0.5f, factor));
}
inline void store_16_scales(__m128i numbers, float factor, float* scales) {
  store_8_scales(numbers, factor, scales);
  store_8_scales(_mm_unpackhi_epi64(numbers, numbers), factor, scales + 8);
}
// The nibbles of four or eight bytes, the low one of each first.
inline __m128i nibbles_of(uint64_t bytes) {
  const __m128i words = _mm_cvtepu8_epi16(_mm_cvtsi64_si128(static_cast<int64_t>(bytes)));
  return _mm_and_si128(_mm_or_si128(words, _mm_slli_epi16(words, 4)), _mm_set1_epi8(15));
}
inline uint64_t load_u64(const uint8_t* at) {
  return load_u32(at) | uint64_t{load_u32(at + 4)} << 32;
}

// -1, 0 and 1 moved by an eighth, as eighths. shifts: 1 or -1 each.
inline __m256i eighths(__m256i numbers, __m256i shifts) {
  const __m256i eight_times =
      _mm256_and_si256(_mm256_slli_epi16(numbers, 3), _mm256_set1_epi8(static_cast<char>(0xf8)));
  return _mm256_add_epi8(eight_times, shifts);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
