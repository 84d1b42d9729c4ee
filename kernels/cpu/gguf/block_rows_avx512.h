// Rows of the types with blocks of 32 columns and one scale each.
#pragma once

#include "kernels/cpu/gguf/nibble_numbers.h"
#include "kernels/cpu/gguf/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Blocks of 32 columns in 16 bytes behind a header of kHeader bytes. Type has the numbers and
// scales(first of four headers).
template <typename Type>
struct SplitRow {
  static constexpr const uint8_t* kColumnOrder = kSplitBlocks.data();
  static constexpr uint64_t kColumns = kDotColumns, kBytes = Type::kHeader + 16;
  static constexpr uint64_t kSumColumns = Type::kHasOffsets ? 32 : 0;
  SplitRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<32, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_nibbles(table, four_pieces<kBytes>(block + Type::kHeader), to,
                four_scales(Type::scales(block)));
    if constexpr (kSumColumns != 0) {
      _mm_storeu_ps(offsets, four_halves<kBytes>(block + 2));
      offsets += 4;
    }
    block += 4 * kBytes;
  }
  NibbleWords table{Type::numbers()};
  const uint8_t* block;
  float* offsets;
};
struct Q40 {
  static constexpr uint64_t kHeader = 2;
  static constexpr bool kHasOffsets = false;
  static const float* numbers() { return kNibblesAround8.list; }
  static __m128 scales(const uint8_t* block) { return four_halves<18>(block); }
};
struct Q41 {
  static constexpr uint64_t kHeader = 4;
  static constexpr bool kHasOffsets = true;
  static const float* numbers() { return kUnsignedNibbles; }
  static __m128 scales(const uint8_t* block) { return four_halves<20>(block); }
};
struct Iq4Nl : Q40 {
  static const float* numbers() { return kIq4Numbers.list; }
};
struct Mxfp4 {
  static constexpr uint64_t kHeader = 1;
  static constexpr bool kHasOffsets = false;
  static const float* numbers() { return kFp4Numbers.list; }
  static __m128 scales(const uint8_t* block) {
    return _mm_setr_ps(e8m0_half(block[0]), e8m0_half(block[17]), e8m0_half(block[34]),
                       e8m0_half(block[51]));
  }
};

// SplitRow with a fifth bit of each code in the four bytes before the others.
template <bool kHasOffsets>
struct FiveBitRow {
  static constexpr const uint8_t* kColumnOrder = kSplitBlocks.data();
  static constexpr uint64_t kColumns = kDotColumns, kHeader = kHasOffsets ? 4 : 2;
  static constexpr uint64_t kBytes = kHeader + 20, kSumColumns = kHasOffsets ? 32 : 0;
  FiveBitRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<32, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const uint8_t* fifths = block + kHeader;
    const __m512i words = four_pieces<kBytes>(fifths + 4);
    // The bits of columns 0 to 15 of a block in each of its eight words, and those of the others.
    const __m512i bits = _mm512_castsi128_si512(_mm_setr_epi32(
        static_cast<int>(load_u32(fifths)), static_cast<int>(load_u32(fifths + kBytes)),
        static_cast<int>(load_u32(fifths + 2 * kBytes)),
        static_cast<int>(load_u32(fifths + 3 * kBytes))));
    const __m512i first = _mm512_permutexvar_epi16(_mm512_load_si512(kFirstBits.data()), bits);
    const __m512i last = _mm512_permutexvar_epi16(_mm512_load_si512(kLastBits.data()), bits);
    const __m512i even = _mm512_set1_epi64(0x0040'0010'0004'0001),
                  even_up = _mm512_set1_epi64(0x4000'1000'0400'0100);
    const __m512i evens = _mm512_unpacklo_epi64(even, even_up), odds = _mm512_slli_epi16(evens, 1);
    const auto numbers = [&](int shift, __m512i source, __m512i places) {
      const __m512i codes = _mm512_srli_epi16(words, static_cast<unsigned>(shift));
      return high.where(_mm512_test_epi16_mask(source, places), codes, low[codes]);
    };
    to.add(numbers(0, first, evens), numbers(4, last, evens), numbers(8, first, odds),
           numbers(12, last, odds), four_scales(four_halves<kBytes>(block)));
    if constexpr (kHasOffsets) {
      _mm_storeu_ps(offsets, four_halves<kBytes>(block + 2));
      offsets += 4;
    }
    block += 4 * kBytes;
  }

  // Half `half` of the bits of block i / 8 for word i.
  static constexpr std::array<uint16_t, 32> bits_of_words(int half) {
    std::array<uint16_t, 32> words{};
    for (std::size_t i = 0; i < words.size(); ++i)
      words[i] = static_cast<uint16_t>(2 * (i / 8) + static_cast<std::size_t>(half));
    return words;
  }
  alignas(64) static constexpr std::array<uint16_t, 32> kFirstBits = bits_of_words(0),
                                                        kLastBits = bits_of_words(1);

  static constexpr float kZero = kHasOffsets ? 0 : 16;
  NibbleWords low{kUnsignedNibbles, kZero}, high{kUnsignedNibbles, kZero - 16};
  const uint8_t* block;
  float* offsets;
};

struct Q80Row {
  static constexpr uint64_t kColumns = kDotColumns, kBytes = 34, kSumColumns = 32;
  Q80Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<32, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    __m512i numbers[4];
    words.look_up_lanes(two_pieces(block + 2), numbers);
    words.look_up_lanes(two_pieces(block + 2 * kBytes + 2), numbers + 2);
    const __m128 scales = four_halves<kBytes>(block);
    _mm_storeu_ps(offsets, _mm_mul_ps(scales, _mm_set1_ps(-kIntegerShift)));
    const auto two_blocks = [&](int first) {
      const __m512i lanes =
          _mm512_inserti64x4(_mm512_set1_epi32(first), _mm256_set1_epi32(first + 1), 1);
      return _mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(scales));
    };
    to.add(numbers[0], numbers[2], numbers[1], numbers[3], two_blocks(0), two_blocks(2));
    offsets += 4;
    block += 4 * kBytes;
  }
  static __m512i two_pieces(const uint8_t* at) {
    const auto piece = [&](uint64_t i) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i * kBytes));
    };
    return _mm512_inserti64x4(_mm512_castsi256_si512(piece(0)), piece(1), 1);
  }
  IntegerWords words;
  const uint8_t* block;
  float* offsets;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
