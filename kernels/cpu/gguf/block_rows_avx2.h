// Rows of the types with blocks of 32 columns and one scale each.
#pragma once

#include "kernels/cpu/gguf/nibble_numbers.h"
#include "kernels/cpu/gguf/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// The codes of 16 bytes: the low halves, then the high ones.
inline __m256i split_codes(const uint8_t* bytes) {
  const __m128i nibbles = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  return low_nibbles(_mm256_set_m128i(_mm_srli_epi16(nibbles, 4), nibbles));
}
// A number in float16, in all lanes.
inline __m256 same_half(const uint8_t* at) {
  return _mm256_cvtph_ps(_mm_set1_epi16(static_cast<int16_t>(load_u16(at))));
}

// Blocks of 32 columns in 16 bytes behind a header of kHeader bytes. Type has the numbers and the
// scale.
template <typename Type>
struct SplitRow {
  static constexpr const uint8_t* kColumnOrder = kUnitColumns.data();
  static constexpr uint64_t kColumns = 32, kBytes = Type::kHeader + 16;
  static constexpr uint64_t kSumColumns = Type::kHasOffsets ? 32 : 0;
  SplitRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<32, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_unit(table[split_codes(block + Type::kHeader)], to, Type::scale(block));
    if constexpr (kSumColumns != 0) *offsets++ = load_half(block + 2);
    block += kBytes;
  }
  NibbleWords table{Type::numbers()};
  const uint8_t* block;
  float* offsets;
};
struct Q40 {
  static constexpr uint64_t kHeader = 2;
  static constexpr bool kHasOffsets = false;
  static const float* numbers() { return kNibblesAround8.list; }
  static __m256 scale(const uint8_t* block) { return same_half(block); }
};
struct Q41 {
  static constexpr uint64_t kHeader = 4;
  static constexpr bool kHasOffsets = true;
  static const float* numbers() { return kUnsignedNibbles; }
  static __m256 scale(const uint8_t* block) { return same_half(block); }
};
struct Iq4Nl : Q40 {
  static const float* numbers() { return kIq4Numbers.list; }
};
struct Mxfp4 {
  static constexpr uint64_t kHeader = 1;
  static constexpr bool kHasOffsets = false;
  static const float* numbers() { return kFp4Numbers.list; }
  static __m256 scale(const uint8_t* block) { return _mm256_set1_ps(e8m0_half(block[0])); }
};

// Codes in 16 bytes, the first 16 columns in the low halves, and a fifth bit of each in the four
// bytes before.
template <bool kHasOffsets>
struct FiveBitRow {
  static constexpr const uint8_t* kColumnOrder = kUnitColumns.data();
  static constexpr uint64_t kColumns = 32, kHeader = kHasOffsets ? 4 : 2;
  static constexpr uint64_t kBytes = kHeader + 20, kSumColumns = kHasOffsets ? 32 : 0;
  FiveBitRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<32, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const uint8_t* fifths = block + kHeader;
    const __m256i low = split_codes(fifths + 4);
    const __m256i zeros = bytes_without(load_u32(fifths));
    auto dots = to.dots();
    if constexpr (kHasOffsets) {
      const __m256i high = _mm256_andnot_si256(zeros, _mm256_set1_epi8(16));
      dots.add(0, integers(_mm256_or_si256(low, high)));
      *offsets++ = load_half(block + 2);
    } else {
      // Less 16 where the bit is not set.
      const __m256i high = _mm256_and_si256(zeros, _mm256_set1_epi8(static_cast<char>(0xf0)));
      dots.add(0, integers(_mm256_or_si256(low, high)));
    }
    to.add(dots, _mm256_mul_ps(same_half(block), _mm256_set1_ps(kIntegerScale)));
    block += kBytes;
  }
  // All bits of a byte where its bit is not set.
  static __m256i bytes_without(uint32_t bits) {
    const __m256i source =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i places = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
    const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)), source);
    return _mm256_cmpeq_epi8(_mm256_and_si256(spread, places), _mm256_setzero_si256());
  }
  const uint8_t* block;
  float* offsets;
};

struct Q80Row {
  static constexpr uint64_t kColumns = 32, kBytes = 34, kSumColumns = 0;
  Q80Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<32, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    auto dots = to.dots();
    add_columns<32>(words, block + 2, 0, dots);
    to.add(dots, same_half(block));
    block += kBytes;
  }
  IntegerWords words;
  const uint8_t* block;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
