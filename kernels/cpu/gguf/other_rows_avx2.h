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
    auto dots = to.dots();
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m256i bits = _mm256_set1_epi32(static_cast<int>(load_u32(block + 2 + 4 * i)));
      dots.add(32 * i, signs<0>(bits), signs<8>(bits));
      dots.add(32 * i + 16, signs<16>(bits), signs<24>(bits));
    }
    to.add(dots, _mm256_set1_ps(load_half(block)));
    block += kBytes;
  }
  // 1 for a bit that is set, else -1, of 8 bits from `first` on.
  template <int first>
  static __m256 signs(__m256i bits) {
    const __m256i places = _mm256_setr_epi32(31 - first, 30 - first, 29 - first, 28 - first,
                                             27 - first, 26 - first, 25 - first, 24 - first);
    const __m256 set = _mm256_castsi256_ps(_mm256_sllv_epi32(bits, places));
    return _mm256_xor_ps(_mm256_and_ps(set, _mm256_set1_ps(-0.0f)), _mm256_set1_ps(-1.0f));
  }
  const uint8_t* block;
};

// Numbers of codes of two bits, less 1, in the lowest bits of each lane, whatever is above them.
class TwoBitNumbers {
 public:
  __m256 operator[](__m256i codes) const { return _mm256_permutevar8x32_ps(numbers_, codes); }

 private:
  __m256 numbers_ = _mm256_setr_ps(-1, 0, 1, 2, -1, 0, 1, 2);
};

// Four neighbours a byte.
struct Q20Row {
  static constexpr const uint8_t* kColumnOrder = nullptr;
  static constexpr uint64_t kColumns = 64, kBytes = 18;
  static constexpr uint64_t kSumColumns = 0;
  Q20Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const __m256i first_places = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    const __m256i last_places = _mm256_setr_epi32(16, 18, 20, 22, 24, 26, 28, 30);
    auto dots = to.dots();
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m256i bits = _mm256_set1_epi32(static_cast<int>(load_u32(block + 2 + 4 * i)));
      dots.add(16 * i, table[_mm256_srlv_epi32(bits, first_places)],
               table[_mm256_srlv_epi32(bits, last_places)]);
    }
    to.add(dots, _mm256_set1_ps(load_half(block)));
    to.column += kColumns;
    block += kBytes;
  }
  TwoBitNumbers table;
  const uint8_t* block;
};

// Five digits of base 3 a byte, the highest first: digit i of 32 bytes, then of 16, then of 4.
struct Tq10Row {
  static constexpr const uint8_t* kColumnOrder = nullptr;
  static constexpr uint64_t kColumns = 256, kBytes = 54;
  static constexpr uint64_t kSumColumns = 0;
  Tq10Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const __m256i first = words(block), second = words(block + 16), third = words(block + 32);
    auto dots = to.dots();
    uint64_t at = 0;
    for (const int16_t power : {1, 3, 9, 27, 81}) {
      add_digits(first, _mm256_set1_epi16(power), at, dots);
      add_digits(second, _mm256_set1_epi16(power), at + 16, dots);
      at += 32;
    }
    for (const int16_t power : {1, 3, 9, 27, 81}) {
      add_digits(third, _mm256_set1_epi16(power), at, dots);
      at += 16;
    }
    const __m128i four = _mm_set1_epi32(static_cast<int>(load_u32(block + 48)));
    const __m256i powers = _mm256_set_epi64x(0x001b'001b'001b'001b, 0x0009'0009'0009'0009,
                                             0x0003'0003'0003'0003, 0x0001'0001'0001'0001);
    add_digits(_mm256_cvtepu8_epi16(four), powers, at, dots);
    to.add(dots, _mm256_set1_ps(load_half(block + 52)));
    to.column += kColumns;
    block += kBytes;
  }

 private:
  static __m256i words(const uint8_t* bytes) {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
  }
  // The first digits of 16 bytes times a power of 3.
  template <typename Dots>
  [[gnu::always_inline]] void add_digits(__m256i bytes, __m256i powers, uint64_t at,
                                         Dots& dots) const {
    const __m256i moved =
        _mm256_and_si256(_mm256_mullo_epi16(bytes, powers), _mm256_set1_epi16(255));
    const __m256i digits = _mm256_srli_epi16(_mm256_mullo_epi16(moved, _mm256_set1_epi16(3)), 8);
    dots.add(at, table[_mm256_cvtepu16_epi32(_mm256_castsi256_si128(digits))],
             table[_mm256_cvtepu16_epi32(_mm256_extracti128_si256(digits, 1))]);
  }
  TwoBitNumbers table;
  const uint8_t* block;
};

// Sub-blocks of 16 columns in 8 bytes, the first 8 in the low halves.
struct NvFp4Row {
  static constexpr const uint8_t* kColumnOrder = kNibbleColumns<kSmallSplitBlocks>.data();
  static constexpr uint64_t kColumns = kDotColumns, kBytes = 36;
  static constexpr uint64_t kSumColumns = 0;
  NvFp4Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<64, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const __m256 eight = scales();
    for (int i = 0; i < 2; ++i, block += kBytes) {
      const auto scales_of = [&](int first) {
        const __m256i lanes = _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2);
        return _mm256_permutevar8x32_ps(eight,
                                        _mm256_add_epi32(lanes, _mm256_set1_epi32(4 * i + first)));
      };
      const __m256i codes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 4));
      add_nibbles(table, codes, to, scales_of(0), scales_of(1));
    }
  }
  // Those of two blocks: half of E4M3 numbers, of which 0x7f is 0, by way of float16.
  __m256 scales() const {
    const __m128i bytes = _mm_cvtsi64_si128(
        static_cast<int64_t>(load_u32(block) | uint64_t{load_u32(block + kBytes)} << 32));
    const __m128i kept = _mm_andnot_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f)), bytes);
    const __m128i magnitudes = _mm_and_si128(_mm_cvtepu8_epi16(kept), _mm_set1_epi16(0x7f));
    return _mm256_mul_ps(_mm256_cvtph_ps(_mm_slli_epi16(magnitudes, 7)), _mm256_set1_ps(128));
  }
  NibbleWords table{kFp4Numbers.list};
  const uint8_t* block;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
