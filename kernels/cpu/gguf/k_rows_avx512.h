// Rows of the K types of 4 to 6 bits.
#pragma once

#include "kernels/cpu/gguf/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Of 8 sub-blocks. The block begins as SubBlockCodes says.
struct SubBlocks {
  __m512 scales;    // of sub-blocks in the first 8 lanes
  __m256 minimums;  // negated
  explicit SubBlocks(const uint8_t* block) {
    const __m128i bytes = sub_block_codes(block);
    const __m512 numbers = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
    const __m512 factors = _mm512_mask_blend_ps(0xff00, _mm512_set1_ps(load_half(block)),
                                                _mm512_set1_ps(-load_half(block + 2)));
    scales = _mm512_mul_ps(numbers, factors);
    minimums = _mm512_extractf32x8_ps(scales, 1);
  }
  // For vectors 0 and 2 of the codes of four sub-blocks, or with plane 1, for 1 and 3.
  __m512 plane(int first) const {
    const __m512i lanes =
        _mm512_inserti64x4(_mm512_set1_epi32(first), _mm256_set1_epi32(first + 2), 1);
    return _mm512_permutexvar_ps(lanes, scales);
  }
};

// The low 4 bits of words of `low`, bits above them of `high`.
inline __m512i join_nibbles(__m512i low, __m512i high) {
  constexpr int kSelect = 0xca;
  return _mm512_ternarylogic_epi32(_mm512_set1_epi16(15), low, high, kSelect);
}
// Q4_K's order, with a bit more.
struct Q5KRow {
  static constexpr const uint8_t* kColumnOrder = kSubBlockPlanes.data();
  static constexpr uint64_t kColumns = 256, kBytes = 176;
  static constexpr uint64_t kSumColumns = 32;
  Q5KRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<kColumns, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const SubBlocks sub_blocks(block);
    _mm256_storeu_ps(offsets, sub_blocks.minimums);
    // Bit i of a byte is the fifth of a column of sub-block i.
    const __m512i bits = twice_32_bytes(block + 16);
    add_half(load_words(block + 48), _mm512_sllv_epi16(bits, half_shifts(4, 2)),
             sub_blocks.plane(0), sub_blocks.plane(1), to);
    add_half(load_words(block + 112), _mm512_srlv_epi16(bits, half_shifts(0, 2)),
             sub_blocks.plane(4), sub_blocks.plane(5), to);
    offsets += 8;
    block += kBytes;
  }
  template <typename To>
  [[gnu::always_inline]] void add_half(__m512i low, __m512i high, __m512 even, __m512 odd, To& to) {
    const auto numbers = [&](int nibble, int bit) {
      return table[join_nibbles(_mm512_srli_epi16(low, nibble), _mm512_srli_epi16(high, bit))];
    };
    to.add(numbers(0, 0), numbers(4, 1), numbers(8, 8), numbers(12, 9), even, odd);
  }
  CountedWords<32> table{0};
  const uint8_t* block;
  float* offsets;
};

struct Q6KRow {
  static constexpr const uint8_t* kColumnOrder = kBytePlanes.data();
  static constexpr uint64_t kColumns = 256, kBytes = 210;
  static constexpr uint64_t kSumColumns = 0;
  Q6KRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 192));
    const __m512 scales = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes)),
                                        _mm512_set1_ps(load_half(block + 208)));
    add_half(block, block + 128, _mm512_castps512_ps128(scales), _mm512_extractf32x4_ps(scales, 1),
             to);
    add_half(block + 64, block + 160, _mm512_extractf32x4_ps(scales, 2),
             _mm512_extractf32x4_ps(scales, 3), to);
    block += kBytes;
  }
  // The upper two bits of columns 32 apart follow each other in a byte.
  template <typename To>
  [[gnu::always_inline]] void add_half(const uint8_t* nibbles, const uint8_t* pairs, __m128 first,
                                       __m128 last, To& to) {
    const __m512i low = load_words(nibbles), bits = twice_32_bytes(pairs);
    const __m512i high = _mm512_sllv_epi16(bits, half_shifts(4, 2));
    to.add(table[join_nibbles(low, high)],
           table[join_nibbles(_mm512_srli_epi16(low, 4), _mm512_srli_epi16(high, 4))],
           table[join_nibbles(_mm512_srli_epi16(low, 8), _mm512_srli_epi16(high, 8))],
           table[join_nibbles(_mm512_srli_epi16(low, 12),
                              _mm512_srlv_epi16(bits, half_shifts(8, 10)))],
           four_scales(first), four_scales(last));
  }
  CountedWords<64> table{-32};
  const uint8_t* block;
};

struct Iq4XsRow {
  static constexpr uint64_t kColumns = 256, kBytes = 136;
  static constexpr uint64_t kSumColumns = 0;
  Iq4XsRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const uint64_t codes = _pdep_u64(load_u32(block + 4), 0x0f0f'0f0f'0f0f'0f0f) |
                           _pdep_u64(load_u16(block + 2), 0x0303'0303'0303'0303) << 4;
    const __m256i numbers =
        _mm256_sub_epi32(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(codes))),
                         _mm256_set1_epi32(32));
    const __m256 scales =
        _mm256_mul_ps(_mm256_cvtepi32_ps(numbers), _mm256_set1_ps(load_half(block)));
    add_nibbles(table, load_words(block + 8), to, four_scales(_mm256_castps256_ps128(scales)));
    add_nibbles(table, load_words(block + 72), to, four_scales(_mm256_extractf128_ps(scales, 1)));
    block += kBytes;
  }
  NibbleWords table{kIq4Numbers.list};
  const uint8_t* block;
};

struct Q4KRow {
  static constexpr uint64_t kColumns = 256, kBytes = 144;
  static constexpr uint64_t kSumColumns = 32;
  Q4KRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<kColumns, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const SubBlocks sub_blocks(block);
    _mm256_storeu_ps(offsets, sub_blocks.minimums);
    add_nibbles(table, load_words(block + 16), to, sub_blocks.plane(0), sub_blocks.plane(1));
    add_nibbles(table, load_words(block + 80), to, sub_blocks.plane(4), sub_blocks.plane(5));
    offsets += 8;
    block += kBytes;
  }
  NibbleWords table{kUnsignedNibbles};
  const uint8_t* block;
  float* offsets;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
