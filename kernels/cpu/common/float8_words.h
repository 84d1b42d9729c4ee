// Bytes as bfloat16 numbers, which hold them exactly.
#pragma once

#include "kernels/cpu/common/byte_numbers.h"

#if defined(__AVX512VBMI__)
#include <immintrin.h>
#endif

namespace precis::kernels {
inline namespace PRECIS_ISA {

#if defined(__AVX512VBMI__)
// A number for each of 128 magnitudes, as the upper and the lower byte of its bfloat16.
class MagnitudeWords {
 public:
  // number_of(magnitude)
  template <typename NumberOf>
  explicit MagnitudeWords(NumberOf number_of) {
    alignas(64) uint8_t upper[128], lower[128];
    for (int magnitude = 0; magnitude < 128; ++magnitude) {
      const uint16_t word = float_to_bfloat16(number_of(magnitude));
      upper[magnitude] = static_cast<uint8_t>(word >> 8);
      lower[magnitude] = static_cast<uint8_t>(word & 0xff);
    }
    for (int half = 0; half < 2; ++half) {
      upper_[half] = _mm512_load_si512(upper + 64 * half);
      lower_[half] = _mm512_load_si512(lower + 64 * half);
    }
  }
  // 64 bytes in the order in which look_up gives the words of the first 32, then the others.
  static __m512i ordered(__m512i bytes) {
    return _mm512_permutexvar_epi64(_mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0), bytes);
  }
  // The numbers of the low 7 bits of magnitudes with the highest bits of signs: of the first 8 of
  // each 16 bytes, then of the others.
  void look_up(__m512i magnitudes, __m512i signs, __m512i* words) const {
    const __m512i low = _mm512_permutex2var_epi8(lower_[0], magnitudes, lower_[1]);
    const __m512i high = _mm512_permutex2var_epi8(upper_[0], magnitudes, upper_[1]);
    constexpr int kOrAnd = 0xf8;  // a | (b & c)
    const __m512i signed_high =
        _mm512_ternarylogic_epi64(high, signs, _mm512_set1_epi8(static_cast<char>(0x80)), kOrAnd);
    words[0] = _mm512_unpacklo_epi8(low, signed_high);
    words[1] = _mm512_unpackhi_epi8(low, signed_high);
  }

 private:
  __m512i upper_[2], lower_[2];
};

// float8 e4m3fn.
class Float8E4M3FNWords {
 public:
  Float8E4M3FNWords() : table_(magnitudes()) {}
  // 64 codes to two vectors of 32 words, or to those of MagnitudeWords::look_up.
  void look_up(__m512i codes, __m512i* words) const {
    look_up_lanes(MagnitudeWords::ordered(codes), words);
  }
  void look_up_lanes(__m512i codes, __m512i* words) const { table_.look_up(codes, codes, words); }

 private:
  static const MagnitudeWords& magnitudes() {
    static const MagnitudeWords words(
        [](int code) { return float8_e4m3fn_to_float(static_cast<uint8_t>(code)); });
    return words;
  }
  // By reference: rows of a set share its registers.
  const MagnitudeWords& table_;
};
#endif

inline void float8_e4m3fn_to_bfloat16(const uint8_t* codes, uint64_t count, uint16_t* out) {
  uint64_t i = 0;
#if defined(__AVX512VBMI__)
  const Float8E4M3FNWords table;
  for (; i + 64 <= count; i += 64) {
    __m512i words[2];
    table.look_up(_mm512_loadu_si512(codes + i), words);
    _mm512_storeu_si512(out + i, words[0]);
    _mm512_storeu_si512(out + i + 32, words[1]);
  }
#endif
  decode_bytes<Float8E4M3FN, BF16>(
      codes + i, count - i, [](auto value) { return value; }, out + i);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
