// Rows of the K types of 4 to 6 bits.
#pragma once

#include "kernels/cpu/gguf/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Of 8 sub-blocks. The block begins as SubBlockCodes says.
struct SubBlocks {
  __m256 scales, minimums;  // minimums: negated
  explicit SubBlocks(const uint8_t* block) {
    const __m128i bytes = sub_block_codes(block);
    const auto numbers = [](__m128i codes, float factor) {
      return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(codes)), _mm256_set1_ps(factor));
    };
    scales = numbers(bytes, load_half(block));
    minimums = numbers(_mm_unpackhi_epi64(bytes, bytes), -load_half(block + 2));
  }
  // Of sub-blocks first and first + 2, each for 32 bytes.
  ByteScales plane(int first) const {
    return {{_mm256_permutevar8x32_ps(scales, _mm256_set1_epi32(first)),
             _mm256_permutevar8x32_ps(scales, _mm256_set1_epi32(first + 2))}};
  }
};

inline __m256i load_32(const uint8_t* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}
struct Q5KRow {
  static constexpr const uint8_t* kColumnOrder = kUnitColumns.data();
  static constexpr uint64_t kColumns = 256, kBytes = 176;
  static constexpr uint64_t kSumColumns = 32;
  Q5KRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<kColumns, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const SubBlocks sub_blocks(block);
    _mm256_storeu_ps(offsets, sub_blocks.minimums);
    const __m256 scales = _mm256_mul_ps(sub_blocks.scales, _mm256_set1_ps(kIntegerScale));
    // Bit i of a byte is the fifth of a column of sub-block i.
    const __m256i fifths = load_32(block + 16);
    const __m256i fifth = _mm256_set1_epi8(16);
    const auto scale = [&](int i) {
      return _mm256_permutevar8x32_ps(scales, _mm256_set1_epi32(i));
    };
    const auto add_pair = [&](int pair, __m256i low_fifths, __m256i high_fifths) {
      const __m256i nibbles = load_32(block + 48 + 32 * pair);
      const auto codes = [&](__m256i low, __m256i bits) {
        return integers(_mm256_or_si256(low, _mm256_and_si256(bits, fifth)));
      };
      add_unit(codes(low_nibbles(nibbles), low_fifths), to, scale(2 * pair));
      add_unit(codes(high_nibbles(nibbles), high_fifths), to, scale(2 * pair + 1));
    };
    add_pair(0, _mm256_slli_epi16(fifths, 4), _mm256_slli_epi16(fifths, 3));
    add_pair(1, _mm256_slli_epi16(fifths, 2), _mm256_slli_epi16(fifths, 1));
    add_pair(2, fifths, _mm256_srli_epi16(fifths, 1));
    add_pair(3, _mm256_srli_epi16(fifths, 2), _mm256_srli_epi16(fifths, 3));
    offsets += 8;
    block += kBytes;
  }
  const uint8_t* block;
  float* offsets;
};

// The scales of two units, of which each has two.
inline ByteScales unit_scales(const float* scales) {
  return four_scales(_mm_loadu_ps(scales));
}

struct Q6KRow {
  static constexpr const uint8_t* kColumnOrder = kUnitColumns.data();
  static constexpr uint64_t kColumns = 256, kBytes = 210;
  static constexpr uint64_t kSumColumns = 0;
  Q6KRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    float scales[16];
    const __m256 factor = _mm256_set1_ps(load_half(block + 208) * kIntegerScale);
    for (int i = 0; i < 16; i += 8) {
      const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(block + 192 + i));
      _mm256_storeu_ps(scales + i,
                       _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)), factor));
    }
    add_half(block, block + 128, scales, to);
    add_half(block + 64, block + 160, scales + 8, to);
    block += kBytes;
  }
  // The upper two bits of columns 32 apart follow each other in a byte.
  template <typename To>
  [[gnu::always_inline]] void add_half(const uint8_t* nibbles, const uint8_t* pairs,
                                       const float* scales, To& to) {
    const __m256i first = load_32(nibbles), last = load_32(nibbles + 32), bits = load_32(pairs);
    const __m256i upper = _mm256_set1_epi8(0x30), zero = _mm256_set1_epi8(32);
    const auto numbers = [&](__m256i low, __m256i high) {
      const __m256i codes = _mm256_or_si256(low, _mm256_and_si256(high, upper));
      return integers(_mm256_sub_epi8(codes, zero));
    };
    const ByteScales lower = unit_scales(scales), higher = unit_scales(scales + 4);
    add_unit(numbers(low_nibbles(first), _mm256_slli_epi16(bits, 4)), to, lower.halves[0]);
    add_unit(numbers(low_nibbles(last), _mm256_slli_epi16(bits, 2)), to, lower.halves[1]);
    add_unit(numbers(high_nibbles(first), bits), to, higher.halves[0]);
    add_unit(numbers(high_nibbles(last), _mm256_srli_epi16(bits, 2)), to, higher.halves[1]);
  }
  const uint8_t* block;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
