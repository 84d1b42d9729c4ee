// The numbers that codes of 4 or 8 bits stand for, as vectors of 32 bfloat16.
#pragma once

#include "kernels/cpu/common/float8_words.h"
#include "kernels/cpu/common/value_table.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Numbers for 64 bytes, each for 4 neighbours.
using ByteScales = __m512;

// Four numbers, each in as many neighbouring lanes.
inline ByteScales four_scales(__m128 scales) {
  const __m512i lanes = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  return _mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(scales));
}
inline ByteScales eight_scales(const float* scales) {
  const __m512i lanes = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
  return _mm512_permutexvar_ps(lanes, _mm512_castps256_ps512(_mm256_loadu_ps(scales)));
}
inline ByteScales two_scales(const float* scales) {
  return _mm512_mask_broadcastss_ps(_mm512_set1_ps(scales[0]), 0xff00, _mm_load_ss(scales + 1));
}
inline ByteScales same_scale(float scale) {
  return _mm512_set1_ps(scale);
}

class NibbleWords {
 public:
  // numbers: of the 16 codes.
  explicit NibbleWords(const float* numbers) : NibbleWords(_mm512_loadu_ps(numbers)) {}
  // Each less `zero`.
  NibbleWords(const float* numbers, float zero)
      : NibbleWords(_mm512_sub_ps(_mm512_loadu_ps(numbers), _mm512_set1_ps(zero))) {}
  // Of the low 4 bits of each word.
  __m512i operator[](__m512i words) const { return _mm512_permutexvar_epi16(words, twice_); }
  // The same where `mask` is set, and `others` elsewhere.
  __m512i where(__mmask32 mask, __m512i words, __m512i others) const {
    return _mm512_mask_permutexvar_epi16(others, mask, words, twice_);
  }

 private:
  explicit NibbleWords(__m512 numbers)
      : twice_(_mm512_broadcast_i64x4(__m256i(_mm512_cvtneps_pbh(numbers)))) {}
  __m512i twice_;
};

// The lowest `bits` bits of a word, whatever is above them, less `zero`.
inline NibbleWords low_bits(int bits, float zero = 0) {
  float numbers[16];
  for (int i = 0; i < 16; ++i) numbers[i] = static_cast<float>(i & ((1 << bits) - 1));
  return NibbleWords(numbers, zero);
}

// kCount numbers that follow each other, 32 or 64, for codes of 5 or 6 bits.
template <int kCount>
class CountedWords {
 public:
  explicit CountedWords(int first) : low_(from(first)), high_(from(first + kCount - 32)) {}
  // Of the low bits of each word.
  __m512i operator[](__m512i words) const {
    if constexpr (kCount == 32) return _mm512_permutexvar_epi16(words, low_);
    return _mm512_permutex2var_epi16(low_, words, high_);
  }

 private:
  static __m512i from(int first) {
    const __m512 numbers =
        _mm512_add_ps(_mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                      _mm512_set1_ps(static_cast<float>(first)));
    return __m512i(_mm512_cvtne2ps_pbh(_mm512_add_ps(numbers, _mm512_set1_ps(16)), numbers));
  }
  __m512i low_, high_;
};

// 64 numbers that bfloat16 holds, for codes of 6 bits.
class SixBitWords {
 public:
  explicit SixBitWords(float (*number)(uint8_t code)) {
    alignas(64) uint16_t numbers[64];
    for (uint8_t code = 0; code < 64; ++code)
      numbers[code] = static_cast<uint16_t>(std::bit_cast<uint32_t>(number(code)) >> 16);
    low_ = _mm512_load_si512(numbers);
    high_ = _mm512_load_si512(numbers + 32);
  }
  // Of the low 6 bits of each word.
  __m512i operator[](__m512i words) const { return _mm512_permutex2var_epi16(low_, words, high_); }

 private:
  __m512i low_, high_;
};

// 64 bytes, read once: g++ 12 reads them anew for every shift.
inline __m512i load_words(const uint8_t* bytes) {
  __m512i words = _mm512_loadu_si512(bytes);
  asm("" : "+v"(words));
  return words;
}

// Integers of 8 bits as the numbers that they stand for plus kIntegerShift: a magnitude below 0 is
// one less than above, so that halves have the same 128 magnitudes on both sides.
inline constexpr float kIntegerShift = 0.5f;
class IntegerWords {
 public:
  // flips: xored to the codes, which makes them signed.
  explicit IntegerWords(uint8_t flips = 0)
      : table_(halves()), flips_(_mm512_set1_epi8(static_cast<char>(flips))) {}
  // 64 codes as MagnitudeWords::look_up orders them.
  void look_up_lanes(__m512i codes, __m512i* words) const {
    const __m512i integers = _mm512_xor_si512(codes, flips_);
    const __m512i negative = _mm512_movm_epi8(_mm512_movepi8_mask(integers));
    const __m512i magnitudes = _mm512_xor_si512(integers, negative);
    table_.look_up(magnitudes, integers, words);
  }

 private:
  static const MagnitudeWords& halves() {
    static const MagnitudeWords words(
        [](int magnitude) { return static_cast<float>(magnitude) + kIntegerShift; });
    return words;
  }
  const MagnitudeWords& table_;
  __m512i flips_;
};

// Numbers of Float8E4M3FNWords are what the codes stand for, NaNs too.
inline constexpr float kFloat8Factor = 1;
inline float nan_of(const Float8E4M3FNWords&) {
  return 0;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
