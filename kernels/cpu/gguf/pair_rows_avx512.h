// Rows of the types whose codes have two bits in a byte of four: q2_k, q3_k and tq2_0.
#pragma once

#include "kernels/cpu/gguf/k_rows_avx512.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Hands `to` 128 codes of two bits in 32 bytes: those of columns 32 apart follow each other in a
// byte.
template <typename To, typename... Scales>
[[gnu::always_inline]] inline void add_pairs(const NibbleWords& table, const uint8_t* codes, To& to,
                                             Scales... scales) {
  const __m512i bits = twice_32_bytes(codes);
  const __m512i low = _mm512_srlv_epi16(bits, half_shifts(0, 2));
  const __m512i high = _mm512_srlv_epi16(bits, half_shifts(4, 6));
  to.add(table[low], table[high], table[_mm512_srli_epi16(low, 8)],
         table[_mm512_srli_epi16(high, 8)], scales...);
}

// 16 sub-blocks.
struct Q2KRow {
  static constexpr const uint8_t* kColumnOrder = kBytePlanes.data();
  static constexpr uint64_t kColumns = 256, kBytes = 84;
  static constexpr uint64_t kSumColumns = 16;
  Q2KRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<kColumns, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const __m512i bytes =
        _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block)));
    const auto numbers_times = [](__m512i numbers, float factor) {
      return _mm512_mul_ps(_mm512_cvtepi32_ps(numbers), _mm512_set1_ps(factor));
    };
    const __m512 scales =
        numbers_times(_mm512_and_si512(bytes, _mm512_set1_epi32(15)), load_half(block + 80));
    _mm512_storeu_ps(offsets, numbers_times(_mm512_srli_epi32(bytes, 4), -load_half(block + 82)));
    add_pairs(table, block + 16, to, four_scales(_mm512_castps512_ps128(scales)),
              four_scales(_mm512_extractf32x4_ps(scales, 1)));
    add_pairs(table, block + 48, to, four_scales(_mm512_extractf32x4_ps(scales, 2)),
              four_scales(_mm512_extractf32x4_ps(scales, 3)));
    offsets += 16;
    block += kBytes;
  }
  NibbleWords table{low_bits(2)};
  const uint8_t* block;
  float* offsets;
};

// Q2KRow with one scale a block.
struct Tq20Row {
  static constexpr const uint8_t* kColumnOrder = kBytePlanes.data();
  static constexpr uint64_t kColumns = 256, kBytes = 66;
  static constexpr uint64_t kSumColumns = 0;
  Tq20Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const __m512 scale = _mm512_set1_ps(load_half(block + 64));
    add_pairs(table, block, to, scale);
    add_pairs(table, block + 32, to, scale);
    block += kBytes;
  }
  NibbleWords table{low_bits(2, 1)};
  const uint8_t* block;
};

// Q2KRow with a third bit of each code in 32 bytes before the others.
struct Q3KRow {
  static constexpr const uint8_t* kColumnOrder = kBytePlanes.data();
  static constexpr uint64_t kColumns = 256, kBytes = 110;
  static constexpr uint64_t kSumColumns = 0;
  Q3KRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const __m512 scales = sub_block_scales();
    // Bit i of a byte belongs to the column 32 i further on.
    const __m512i bits = twice_32_bytes(block);
    add_half(block + 32, _mm512_sllv_epi16(bits, half_shifts(2, 1)),
             _mm512_srlv_epi16(bits, half_shifts(0, 1)), _mm512_castps512_ps128(scales),
             _mm512_extractf32x4_ps(scales, 1), to);
    add_half(block + 64, _mm512_srlv_epi16(bits, half_shifts(2, 3)),
             _mm512_srlv_epi16(bits, half_shifts(4, 5)), _mm512_extractf32x4_ps(scales, 2),
             _mm512_extractf32x4_ps(scales, 3), to);
    block += kBytes;
  }
  __m512 sub_block_scales() const {
    const __m128i codes = sixteen_scale_codes(block + 96);
    const __m512i numbers = _mm512_sub_epi32(_mm512_cvtepu8_epi32(codes), _mm512_set1_epi32(32));
    return _mm512_mul_ps(_mm512_cvtepi32_ps(numbers), _mm512_set1_ps(load_half(block + 108)));
  }
  // thirds: of the columns of the lower and of the upper pairs, as bit 2 of each byte.
  template <typename To>
  [[gnu::always_inline]] void add_half(const uint8_t* codes, __m512i lower_thirds,
                                       __m512i upper_thirds, __m128 first, __m128 last, To& to) {
    const __m512i bits = twice_32_bytes(codes);
    const __m512i low = join_pairs(_mm512_srlv_epi16(bits, half_shifts(0, 2)), lower_thirds);
    const __m512i high = join_pairs(_mm512_srlv_epi16(bits, half_shifts(4, 6)), upper_thirds);
    to.add(table[low], table[high], table[_mm512_srli_epi16(low, 8)],
           table[_mm512_srli_epi16(high, 8)], four_scales(first), four_scales(last));
  }
  // The low 2 bits of bytes of `low`, bits above them of `high`.
  static __m512i join_pairs(__m512i low, __m512i high) {
    constexpr int kSelect = 0xca;
    return _mm512_ternarylogic_epi32(_mm512_set1_epi8(3), low, high, kSelect);
  }
  NibbleWords table{low_bits(3, 4)};
  const uint8_t* block;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
