// The numbers that codes of 4 or 8 bits stand for, as vectors of 8 float32.
#pragma once

#include <limits>

#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/linear/dot_sums_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Of two bytes each: a word is a bfloat16, which is the upper half of a float32.
inline Numbers32 numbers_of_words(__m256i first, __m256i last) {
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000));
  const auto even = [](__m256i words) { return _mm256_castsi256_ps(_mm256_slli_epi32(words, 16)); };
  const auto odd = [&](__m256i words) {
    return _mm256_castsi256_ps(_mm256_and_si256(words, upper));
  };
  return {{even(first), odd(first), even(last), odd(last)}};
}

// Of signed bytes, times 2^24: each stands at the top of its lane.
inline constexpr float kIntegerScale = 0x1p-24f;
inline Numbers32 integers(__m256i codes) {
  const __m256i zero = _mm256_setzero_si256();
  const Numbers32 tops =
      numbers_of_words(_mm256_unpacklo_epi8(zero, codes), _mm256_unpackhi_epi8(zero, codes));
  const auto number = [](__m256 bits) { return _mm256_cvtepi32_ps(_mm256_castps_si256(bits)); };
  return {{number(tops.vectors[0]), number(tops.vectors[1]), number(tops.vectors[2]),
           number(tops.vectors[3])}};
}

class NibbleWords {
 public:
  // numbers: of the 16 codes; rounded to bfloat16.
  explicit NibbleWords(const float* numbers, float zero = 0) {
    alignas(16) uint8_t upper[16], lower[16];
    for (int i = 0; i < 16; ++i) {
      const uint16_t word = float_to_bfloat16(numbers[i] - zero);
      upper[i] = static_cast<uint8_t>(word >> 8);
      lower[i] = static_cast<uint8_t>(word & 0xff);
    }
    upper_ = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(upper)));
    lower_ = _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(lower)));
  }
  // codes: below 16.
  Numbers32 operator[](__m256i codes) const {
    const __m256i lower = _mm256_shuffle_epi8(lower_, codes);
    const __m256i upper = _mm256_shuffle_epi8(upper_, codes);
    return numbers_of_words(_mm256_unpacklo_epi8(lower, upper), _mm256_unpackhi_epi8(lower, upper));
  }

 private:
  __m256i lower_, upper_;
};

// The lowest `bits` bits of a code, whatever is above them, less `zero`.
inline NibbleWords low_bits(int bits, float zero = 0) {
  float numbers[16];
  for (int i = 0; i < 16; ++i) numbers[i] = static_cast<float>(i & ((1 << bits) - 1));
  return NibbleWords(numbers, zero);
}

// 64 bytes.
struct Bytes64 {
  __m256i halves[2];
};
inline Bytes64 load_words(const uint8_t* bytes) {
  return {{_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes)),
           _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + 32))}};
}

// Numbers for 64 bytes: of each 4 neighbours. Where 16 bytes have one, that is in all lanes whose
// numbers interleaving mixes.
struct ByteScales {
  __m256 halves[2];
};
// Of each 8 neighbours: of the first of 16, and of the others.
struct HalfScales {
  ByteScales first, last;
};

inline ByteScales same_scale(float scale) {
  return {{_mm256_set1_ps(scale), _mm256_set1_ps(scale)}};
}
inline ByteScales two_scales(const float* scales) {
  return {{_mm256_set1_ps(scales[0]), _mm256_set1_ps(scales[1])}};
}
// Four numbers, each in as many neighbouring lanes.
inline ByteScales four_scales(__m128 scales) {
  const __m256 both = _mm256_set_m128(scales, scales);
  return {{_mm256_permutevar_ps(both, _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1)),
           _mm256_permutevar_ps(both, _mm256_setr_epi32(2, 2, 2, 2, 3, 3, 3, 3))}};
}
inline HalfScales eight_scales(const float* scales) {
  // Of those of 16 bytes each: 0, 2, 4, 6 and 1, 3, 5, 7.
  const __m128 first = _mm_loadu_ps(scales), last = _mm_loadu_ps(scales + 4);
  return {four_scales(_mm_shuffle_ps(first, last, 0b10'00'10'00)),
          four_scales(_mm_shuffle_ps(first, last, 0b11'01'11'01))};
}

inline __m256i low_nibbles(__m256i bytes) {
  return _mm256_and_si256(bytes, _mm256_set1_epi8(15));
}
inline __m256i high_nibbles(__m256i bytes) {
  return low_nibbles(_mm256_srli_epi16(bytes, 4));
}

// The numbers of 16 codes of a byte each, as they come.
struct Floats16 {
  __m256 first, last;
};

// Integers of 8 bits as the numbers that they stand for.
inline constexpr float kIntegerShift = 0;
class IntegerWords {
 public:
  // flips: xored to the codes, which makes them signed.
  explicit IntegerWords(uint8_t flips = 0) : flips_(_mm_set1_epi8(static_cast<char>(flips))) {}
  Floats16 load(const uint8_t* codes) { return {eight(codes), eight(codes + 8)}; }

 private:
  __m256 eight(const uint8_t* codes) const {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_xor_si128(bytes, flips_)));
  }

  __m128i flips_;
};

// float8 e4m3fn, as float16 with the same bits of exponent: numbers are 1 / kFloat8Factor of what
// the codes stand for, and those of NaNs are finite: nan_of tells.
inline constexpr float kFloat8Factor = 256;
class Float8E4M3FNWords {
 public:
  Floats16 load(const uint8_t* codes) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
    const __m256i halves = _mm256_and_si256(_mm256_slli_epi16(_mm256_cvtepi8_epi16(bytes), 7),
                                            _mm256_set1_epi16(static_cast<int16_t>(0xbfff)));
    // A NaN has the largest magnitude there is.
    largest_ = _mm_max_epu8(largest_, _mm_and_si128(bytes, _mm_set1_epi8(0x7f)));
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)),
            _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
  }
  bool loaded_nan() const {
    return _mm_movemask_epi8(_mm_cmpeq_epi8(largest_, _mm_set1_epi8(0x7f))) != 0;
  }

 private:
  __m128i largest_ = _mm_setzero_si128();
};
// NaN where a code that was loaded is one whose number is none, else 0.
inline float nan_of(const Float8E4M3FNWords& words) {
  return words.loaded_nan() ? std::numeric_limits<float>::quiet_NaN() : 0.0f;
}

// float6 e2m3, four in three bytes, as float16 likewise.
inline constexpr float kFloat6Factor = 0x1p14f;
class Float6E2M3Words {
 public:
  // Of 32 codes in 24 bytes, each 8 as they come.
  Numbers32 load(const uint8_t* packed) const {
    const auto from = [](const uint8_t* bytes) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    };
    // The last half from 4 bytes before its codes on: nothing is read past the end.
    const __m256i bytes = _mm256_set_m128i(from(packed + 8), from(packed));
    const __m256i first = halves(_mm256_shuffle_epi8(bytes, words_of(0)));
    const __m256i last = halves(_mm256_shuffle_epi8(bytes, words_of(6)));
    return {{_mm256_cvtph_ps(_mm256_castsi256_si128(first)),
             _mm256_cvtph_ps(_mm256_castsi256_si128(last)),
             _mm256_cvtph_ps(_mm256_extracti128_si256(first, 1)),
             _mm256_cvtph_ps(_mm256_extracti128_si256(last, 1))}};
  }

 private:
  // Words of the two bytes that each of 8 codes of a half lies in, from byte `begin` of it on.
  static __m256i words_of(char begin) {
    const auto half = [](char at) {
      const auto last = static_cast<char>(at + 3);
      return _mm_setr_epi8(at, at + 1, at, at + 1, at + 1, at + 2, at + 2, -1, last, last + 1, last,
                           last + 1, last + 1, last + 2, last + 2, -1);
    };
    return _mm256_set_m128i(half(begin + 4), half(begin));
  }
  // In which codes begin at bits 0, 6, 4 and 2.
  static __m256i halves(__m256i words) {
    const __m256i places = _mm256_set1_epi64x(0x0020'0008'0002'0080);
    const __m256i moved = _mm256_mullo_epi16(words, places);
    const __m256i magnitudes = _mm256_and_si256(moved, _mm256_set1_epi16(0x0f80));
    const __m256i signs =
        _mm256_and_si256(_mm256_slli_epi16(moved, 3), _mm256_set1_epi16(INT16_MIN));
    return _mm256_or_si256(magnitudes, signs);
  }
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
