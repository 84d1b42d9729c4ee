// Rows of the K types, and of tq2_0, which is like q2_k.
#pragma once

#include "kernels/cpu/gguf/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Of 8 sub-blocks. The block begins as SubBlockCodes says.
struct SubBlocks {
  __m256 scales, minimums;  // minimums: negated
  explicit SubBlocks(const uint8_t* block) {
    // The four words of SubBlockCodes.
    const __m128i header = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block));
    const __m128i high =
        _mm_srlv_epi32(_mm_shuffle_epi32(header, 0b10'10'01'01), _mm_setr_epi32(0, 2, 0, 2));
    const __m128i low = _mm_srlv_epi32(_mm_shuffle_epi32(header, 0xff), _mm_setr_epi32(0, 0, 0, 4));
    const __m128i bytes = _mm_or_si128(
        _mm_and_si128(high, _mm_setr_epi32(0x3f3f3f3f, 0x30303030, 0x3f3f3f3f, 0x30303030)),
        _mm_and_si128(low, _mm_setr_epi32(0, 0x0f0f0f0f, 0, 0x0f0f0f0f)));
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

// Codes of two bits in 32 bytes: those of columns 32 apart follow each other in a byte.
inline __m256i pair_codes(__m256i bits, int i) {
  return _mm256_and_si256(_mm256_srl_epi16(bits, _mm_cvtsi32_si128(2 * i)), _mm256_set1_epi8(3));
}

// 16 sub-blocks.
struct Q2KRow {
  static constexpr const uint8_t* kColumnOrder = kUnitColumns.data();
  static constexpr uint64_t kColumns = 256, kBytes = 84;
  static constexpr uint64_t kSumColumns = 16;
  Q2KRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<kColumns, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    float scales[16];
    const __m256 factor = _mm256_set1_ps(load_half(block + 80)),
                 minimum = _mm256_set1_ps(-load_half(block + 82));
    for (int i = 0; i < 16; i += 8) {
      const __m256i both =
          _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(block + i)));
      const __m256i low = _mm256_and_si256(both, _mm256_set1_epi32(15));
      _mm256_storeu_ps(scales + i, _mm256_mul_ps(_mm256_cvtepi32_ps(low), factor));
      _mm256_storeu_ps(offsets + i,
                       _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(both, 4)), minimum));
    }
    for (int half = 0; half < 2; ++half) {
      const __m256i bits = load_32(block + 16 + 32 * half);
      for (int i = 0; i < 4; i += 2) {
        const ByteScales here = unit_scales(scales + 8 * half + 2 * i);
        add_unit(table[pair_codes(bits, i)], to, here.halves[0]);
        add_unit(table[pair_codes(bits, i + 1)], to, here.halves[1]);
      }
    }
    offsets += 16;
    block += kBytes;
  }
  NibbleWords table{kUnsignedNibbles};
  const uint8_t* block;
  float* offsets;
};

// Q2KRow with one scale a block.
struct Tq20Row {
  static constexpr const uint8_t* kColumnOrder = kUnitColumns.data();
  static constexpr uint64_t kColumns = 256, kBytes = 66;
  static constexpr uint64_t kSumColumns = 0;
  Tq20Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const __m256 scale = _mm256_set1_ps(load_half(block + 64));
    for (int half = 0; half < 2; ++half) {
      const __m256i bits = load_32(block + 32 * half);
      for (int i = 0; i < 4; ++i) add_unit(table[pair_codes(bits, i)], to, scale);
    }
    block += kBytes;
  }
  NibbleWords table{kUnsignedNibbles, 1};
  const uint8_t* block;
};

// Q2KRow with a third bit of each code in 32 bytes before the others.
struct Q3KRow {
  static constexpr const uint8_t* kColumnOrder = kUnitColumns.data();
  static constexpr uint64_t kColumns = 256, kBytes = 110;
  static constexpr uint64_t kSumColumns = 0;
  Q3KRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    float scales[16];
    sub_block_scales(scales);
    // Bit i of a byte belongs to the column 32 i further on.
    const __m256i thirds = load_32(block), third = _mm256_set1_epi8(4);
    for (int half = 0; half < 2; ++half) {
      const __m256i bits = load_32(block + 32 + 32 * half);
      for (int i = 0; i < 4; ++i) {
        const int place = 4 * half + i;
        const __m256i bit =
            place < 2 ? _mm256_slli_epi16(thirds, 2 - place) : _mm256_srli_epi16(thirds, place - 2);
        const __m256i codes = _mm256_or_si256(pair_codes(bits, i), _mm256_and_si256(bit, third));
        add_unit(table[codes], to, unit_scales(scales + 8 * half + i / 2 * 4).halves[i % 2]);
      }
    }
    block += kBytes;
  }
  // Six bits each: four in halves of eight bytes, two in a quarter of a byte.
  void sub_block_scales(float* scales) const {
    const uint64_t nibbles = load_u32(block + 96) | uint64_t{load_u32(block + 100)} << 32;
    const __m128i low =
        _mm_set_epi64x(static_cast<int64_t>(nibbles >> 4), static_cast<int64_t>(nibbles));
    const __m128i high = _mm_srlv_epi32(_mm_set1_epi32(static_cast<int>(load_u32(block + 104))),
                                        _mm_setr_epi32(0, 2, 4, 6));
    const __m128i codes = _mm_or_si128(_mm_and_si128(low, _mm_set1_epi8(15)),
                                       _mm_slli_epi16(_mm_and_si128(high, _mm_set1_epi8(3)), 4));
    const __m128i centred = _mm_sub_epi8(codes, _mm_set1_epi8(32));
    const __m256 factor = _mm256_set1_ps(load_half(block + 108));
    const auto store = [&](__m128i eight, float* to) {
      const __m256 numbers = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight));
      _mm256_storeu_ps(to, _mm256_mul_ps(numbers, factor));
    };
    store(centred, scales);
    store(_mm_unpackhi_epi64(centred, centred), scales + 8);
  }
  NibbleWords table{kUnsignedNibbles, 4};
  const uint8_t* block;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
