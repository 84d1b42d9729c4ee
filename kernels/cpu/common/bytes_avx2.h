// Codes of a byte each, unpacked and packed with AVX2, which AVX-512 includes.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// The 32 codes of 16 bytes, the low half of each first.
inline void unpack_low_nibbles_first(const uint8_t* packed, uint8_t* codes) {
  const __m256i both =
      _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(packed)));
  const __m256i pairs = _mm256_or_si256(both, _mm256_slli_epi16(both, 4));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes),
                      _mm256_and_si256(pairs, _mm256_set1_epi8(15)));
}

// codes[i] = bytes[i] >> shift & mask, of 32 bytes; no code reaches past its byte.
inline void unpack_plane(const uint8_t* bytes, int shift, int mask, uint8_t* codes) {
  const __m256i all = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
  const __m256i shifted = _mm256_srl_epi16(all, _mm_cvtsi32_si128(shift));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes),
                      _mm256_and_si256(shifted, _mm256_set1_epi8(static_cast<char>(mask))));
}

// The low halves of 16 bytes, then the high ones.
inline void split_nibbles(const uint8_t* packed, uint8_t* codes) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed));
  const __m256i both = _mm256_set_m128i(_mm_srli_epi16(bytes, 4), bytes);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(codes),
                      _mm256_and_si256(both, _mm256_set1_epi8(15)));
}

// Bit 4 of each of 32 bytes.
inline uint32_t fifth_bits_of(const uint8_t* bytes) {
  const __m256i all = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes));
  return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_slli_epi16(all, 3)));
}

// Turns the first and the last 8 of 16 bytes into pairs, and back.
inline void interleave_halves(const uint8_t* halves, uint8_t* pairs) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(halves));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(pairs),
                   _mm_unpacklo_epi8(bytes, _mm_srli_si128(bytes, 8)));
}
inline void split_pairs(const uint8_t* pairs, uint8_t* halves) {
  const __m128i places = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pairs));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(halves), _mm_shuffle_epi8(bytes, places));
}

// As in lines_avx512.h.
inline __m256 eight_float8_e4m3fn(const uint8_t* from) {
  const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  const __m128i wide = _mm_slli_epi16(_mm_cvtepi8_epi16(codes), 7);
  const __m128i halves = _mm_and_si128(wide, _mm_set1_epi16(static_cast<short>(0xbf80)));
  const __m128i full = _mm_set1_epi16(0x3f80);
  const __m128i nan = _mm_cmpeq_epi16(_mm_and_si128(halves, full), full);
  const __m128i all = _mm_or_si128(halves, _mm_and_si128(nan, _mm_set1_epi16(0x7c00)));
  return _mm256_mul_ps(_mm256_cvtph_ps(all), _mm256_set1_ps(256));
}

// A code of 4 bits for each of 16 ranks.
class NibblesOfRanks {
 public:
  explicit NibblesOfRanks(const uint8_t* codes)
      : codes_(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))) {}
  // The codes of 64 ranks in 32 bytes, the first of each in the high half.
  void pack(const uint8_t* ranks, uint8_t* packed) const {
    const auto* from = reinterpret_cast<const __m256i*>(ranks);
    pack(_mm256_loadu_si256(from), _mm256_loadu_si256(from + 1), packed);
  }
  void pack(__m256i first, __m256i last, uint8_t* packed) const {
    const __m256i table = _mm256_broadcastsi128_si256(codes_);
    const __m256i pair = _mm256_set1_epi16(0x0110);  // first element * 16 + second
    const auto half = [&](__m256i ranks) {
      return _mm256_maddubs_epi16(_mm256_shuffle_epi8(table, ranks), pair);
    };
    const __m256i bytes = _mm256_packus_epi16(half(first), half(last));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(packed), _mm256_permute4x64_epi64(bytes, 0xd8));
  }

 private:
  __m128i codes_;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
