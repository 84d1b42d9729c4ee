// The numbers that codes of 4 or 8 bits stand for, as vectors of 32 bfloat16.
#pragma once

#include "kernels/cpu/common/value_table.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)

class NibbleWords {
 public:
  // numbers: of the 16 codes.
  explicit NibbleWords(const float* numbers) : NibbleWords(_mm512_loadu_ps(numbers)) {}
  // Each less `zero`.
  NibbleWords(const float* numbers, float zero)
      : NibbleWords(_mm512_sub_ps(_mm512_loadu_ps(numbers), _mm512_set1_ps(zero))) {}
  // Of the low 4 bits of each word.
  __m512i operator[](__m512i words) const { return _mm512_permutexvar_epi16(words, twice_); }

 private:
  explicit NibbleWords(__m512 numbers)
      : twice_(_mm512_broadcast_i64x4(__m256i(_mm512_cvtneps_pbh(numbers)))) {}
  __m512i twice_;
};

// 32 codes as the low 4 bits of words; what stands above them does not matter to NibbleWords.
// Of 16 bytes, the low half of each first.
inline __m512i nibble_pairs(const uint8_t* packed, int64_t from = 0x000c'0008'0004'0000) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed));
  // from: the bits of each pair of bytes that a word begins with.
  return _mm512_multishift_epi64_epi8(_mm512_set1_epi64(from), _mm512_cvtepu16_epi64(bytes));
}
// The high half of each first.
inline __m512i high_nibble_pairs(const uint8_t* packed) {
  return nibble_pairs(packed, 0x0008'000c'0000'0004);
}
// Of 16 bytes, all low halves before the high ones.
inline __m512i split_nibble_words(const uint8_t* packed) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(packed));
  const __m256i low = _mm256_cvtepu8_epi16(bytes);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), _mm256_srli_epi16(low, 4), 1);
}
// Of 32 bytes, as words: their low halves, and shifted by 4 their high ones.
inline __m512i byte_words(const uint8_t* bytes) {
  return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)));
}

// 32 bytes as the numbers that they stand for: integers less `offset`, or float8.
class IntegerWords {
 public:
  IntegerWords(bool is_signed, int offset)
      : flip_(_mm256_set1_epi8(static_cast<char>(is_signed ? 0x80 : 0))),
        offset_(_mm512_set1_ps(static_cast<float>(offset + (is_signed ? 128 : 0)))) {}
  __m512i operator[](const uint8_t* bytes) const {
    const __m256i all =
        _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)), flip_);
    const auto numbers = [&](__m128i half) {
      return _mm512_sub_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(half)), offset_);
    };
    return __m512i(_mm512_cvtne2ps_pbh(numbers(_mm256_extracti128_si256(all, 1)),
                                       numbers(_mm256_castsi256_si128(all))));
  }

 private:
  __m256i flip_;
  __m512 offset_;
};

#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
