// Rows of NVFP4, the plain 1- and 2-bit types and TQ1_0.
#pragma once

#include "kernels/cpu/gguf/nibble_numbers.h"
#include "kernels/cpu/gguf/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// A sign for each column.
struct Q10Row {
  static constexpr const uint8_t* kColumnOrder = nullptr;
  static constexpr uint64_t kColumns = kDotColumns, kBytes = 18;
  static constexpr uint64_t kSumColumns = 0;
  Q10Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const auto numbers = [&](int i) {
      return _mm512_mask_blend_epi16(load_u32(block + 2 + 4 * i), minus, plus);
    };
    to.add(numbers(0), numbers(1), numbers(2), numbers(3), _mm512_set1_ps(load_half(block)));
    block += kBytes;
  }
  __m512i plus = _mm512_set1_epi16(0x3f80), minus = _mm512_set1_epi16(static_cast<short>(0xbf80));
  const uint8_t* block;
};

// Four neighbours a byte; two blocks of 64 columns at once.
constexpr ColumnOrder kPairsOfWords = column_order(
    [](uint64_t vector, uint64_t word) { return 8 * (word % 16) + 2 * vector + word / 16; });
struct Q20Row {
  static constexpr const uint8_t* kColumnOrder = kPairsOfWords.data();
  static constexpr uint64_t kColumns = kDotColumns, kBytes = 18;
  static constexpr uint64_t kSumColumns = 0;
  Q20Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<64, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const auto codes = [&](uint64_t i) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + i * kBytes + 2));
    };
    const __m512i twice = _mm512_broadcast_i64x4(_mm256_set_m128i(codes(1), codes(0)));
    const auto numbers = [&](int16_t shift) {
      return table[_mm512_srlv_epi16(twice, half_shifts(shift, static_cast<int16_t>(shift + 2)))];
    };
    const __m128 scales = _mm_setr_ps(load_half(block), load_half(block + kBytes), 0, 0);
    const __m512i lanes = _mm512_set_epi32(1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0);
    to.add(numbers(0), numbers(4), numbers(8), numbers(12),
           _mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(scales)));
    block += 2 * kBytes;
  }
  NibbleWords table{low_bits(2, 1)};
  const uint8_t* block;
};

// Five digits of base 3 a byte, the highest first.
struct Tq10Row {
  static constexpr const uint8_t* kColumnOrder = nullptr;
  static constexpr uint64_t kColumns = 256, kBytes = 54;
  static constexpr uint64_t kSumColumns = 0;
  Tq10Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const __m512 scale = _mm512_set1_ps(load_half(block + 52));
    const __m512i words = _mm512_cvtepu8_epi16(load(block));
    const auto powers = [](int16_t first, int16_t last) { return half_shifts(first, last); };
    to.add(digits(words, powers(1, 1)), digits(words, powers(3, 3)), digits(words, powers(9, 9)),
           digits(words, powers(27, 27)), scale);
    const __m256i sixteen =
        _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 32)));
    const __m256i four =
        _mm256_cvtepu8_epi16(_mm_set1_epi32(static_cast<int>(load_u32(block + 48))));
    const __m512i twice = _mm512_broadcast_i64x4(sixteen);
    const __m512i last_powers = _mm512_set_epi64(
        0x001b001b001b001b, 0x0009000900090009, 0x0003000300030003, 0x0001000100010001,
        0x0051005100510051, 0x0051005100510051, 0x0051005100510051, 0x0051005100510051);
    to.add(digits(words, powers(81, 81)), digits(twice, powers(1, 3)), digits(twice, powers(9, 27)),
           digits(_mm512_inserti64x4(twice, four, 1), last_powers), scale);
    block += kBytes;
  }
  static __m256i load(const uint8_t* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }
  // The numbers of the first digits of bytes times a power of 3.
  __m512i digits(__m512i bytes, __m512i powers) const {
    const __m512i shifted =
        _mm512_and_si512(_mm512_mullo_epi16(bytes, powers), _mm512_set1_epi16(255));
    return table[_mm512_srli_epi16(_mm512_mullo_epi16(shifted, _mm512_set1_epi16(3)), 8)];
  }
  NibbleWords table{low_bits(2, 1)};
  const uint8_t* block;
};

// Sub-blocks of 16 columns in 8 bytes, the first 8 in the low halves; two blocks of 64 columns at
// once.
struct NvFp4Row {
  static constexpr const uint8_t* kColumnOrder = kSmallSplitBlocks.data();
  static constexpr uint64_t kColumns = kDotColumns, kBytes = 36;
  static constexpr uint64_t kSumColumns = 0;
  NvFp4Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<64, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const auto codes = [&](uint64_t i) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + i * kBytes + 4));
    };
    const __m512i words = _mm512_inserti64x4(_mm512_castsi256_si512(codes(0)), codes(1), 1);
    add_nibbles(table, words, to, scales());
    block += 2 * kBytes;
  }
  // Half of E4M3 numbers, of which 0x7f is 0, by way of binary16.
  __m512 scales() const {
    const __m128i bytes = _mm_cvtsi64_si128(
        static_cast<int64_t>(load_u32(block) | uint64_t{load_u32(block + kBytes)} << 32));
    const __mmask16 numbers = _mm_cmpneq_epi8_mask(bytes, _mm_set1_epi8(0x7f));
    const __m128i magnitudes =
        _mm_and_si128(_mm_cvtepu8_epi16(_mm_maskz_mov_epi8(numbers, bytes)), _mm_set1_epi16(0x7f));
    const __m256 values =
        _mm256_mul_ps(_mm256_cvtph_ps(_mm_slli_epi16(magnitudes, 7)), _mm256_set1_ps(128));
    const __m512i lanes = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutexvar_ps(lanes, _mm512_castps256_ps512(values));
  }
  NibbleWords table{kFp4Numbers.list};
  const uint8_t* block;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
