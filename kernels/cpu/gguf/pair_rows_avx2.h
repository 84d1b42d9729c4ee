// Rows of the types whose codes have two bits in a byte of four: q2_k, q3_k and tq2_0.
#pragma once

#include "kernels/cpu/gguf/k_rows_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

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
  void sub_block_scales(float* scales) const {
    const __m128i codes = sixteen_scale_codes(block + 96);
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
