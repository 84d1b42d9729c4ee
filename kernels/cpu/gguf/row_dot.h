// What rows of GGUF's blocks have in common where they are multiplied as they are stored.
#pragma once

#include "kernels/cpu/gguf/block_io.h"
#include "kernels/cpu/gguf/linear.h"
#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

#if defined(PRECIS_ROW_DOT)

// Where a row's blocks begin; kBytes for kSize columns.
template <uint64_t kSize, uint64_t kBytes>
inline const uint8_t* block_at(const GgufWeight& weight, uint64_t row, uint64_t column) {
  return weight.blocks + row * weight.row_bytes + column / kSize * kBytes;
}

// Four numbers in float16, kBytes apart.
template <uint64_t kBytes>
inline __m128 four_halves(const uint8_t* at) {
  return _mm_cvtph_ps(_mm_setr_epi16(static_cast<int16_t>(load_u16(at)),
                                     static_cast<int16_t>(load_u16(at + kBytes)),
                                     static_cast<int16_t>(load_u16(at + 2 * kBytes)),
                                     static_cast<int16_t>(load_u16(at + 3 * kBytes)), 0, 0, 0, 0));
}
// Of 64 columns of a Q4_K or Q5_K the first 32 are in the low halves of 32 bytes.
inline constexpr ColumnOrder kSubBlockPlanes = column_order([](uint64_t vector, uint64_t word) {
  return 64 * (word / 16) + 32 * (vector % 2) + 2 * (word % 16) + vector / 2;
});

// NVFP4 has 16 columns in 8 bytes, the first 8 in the low halves.
inline constexpr ColumnOrder kSmallSplitBlocks = column_order([](uint64_t vector, uint64_t word) {
  return 16 * (word / 4) + 2 * (word % 4) + 8 * (vector % 2) + vector / 2;
});

// The codes of Q4_K's and Q5_K's 8 scales, then of the 8 minimums, from the four words of
// SubBlockCodes.
inline __m128i sub_block_codes(const uint8_t* block) {
  const __m128i header = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block));
  const __m128i high =
      _mm_srlv_epi32(_mm_shuffle_epi32(header, 0b10'10'01'01), _mm_setr_epi32(0, 2, 0, 2));
  const __m128i low = _mm_srlv_epi32(_mm_shuffle_epi32(header, 0xff), _mm_setr_epi32(0, 0, 0, 4));
  return _mm_or_si128(
      _mm_and_si128(high, _mm_setr_epi32(0x3f3f3f3f, 0x30303030, 0x3f3f3f3f, 0x30303030)),
      _mm_and_si128(low, _mm_setr_epi32(0, 0x0f0f0f0f, 0, 0x0f0f0f0f)));
}
// The codes of Q3_K's scales, of six bits: four in halves of eight bytes, two in a quarter of a
// byte.
inline __m128i sixteen_scale_codes(const uint8_t* packed) {
  const uint64_t nibbles = load_u32(packed) | uint64_t{load_u32(packed + 4)} << 32;
  const __m128i low =
      _mm_set_epi64x(static_cast<int64_t>(nibbles >> 4), static_cast<int64_t>(nibbles));
  const __m128i high = _mm_srlv_epi32(_mm_set1_epi32(static_cast<int>(load_u32(packed + 8))),
                                      _mm_setr_epi32(0, 2, 4, 6));
  return _mm_or_si128(_mm_and_si128(low, _mm_set1_epi8(15)),
                      _mm_slli_epi16(_mm_and_si128(high, _mm_set1_epi8(3)), 4));
}

#if defined(PRECIS_ROW_DOT_OF_BFLOAT16)
// Four times 16 bytes, kBytes apart.
template <uint64_t kBytes>
inline __m512i four_pieces(const uint8_t* at) {
  const auto piece = [&](int i) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + i * kBytes));
  };
  const __m512i two = _mm512_inserti32x4(_mm512_castsi128_si512(piece(0)), piece(1), 1);
  return _mm512_inserti32x4(_mm512_inserti32x4(two, piece(2), 2), piece(3), 3);
}

// Shifts for the words of the first and of the last 32 bytes.
inline __m512i half_shifts(int16_t first, int16_t last) {
  return _mm512_inserti64x4(_mm512_set1_epi16(first), _mm256_set1_epi16(last), 1);
}
inline __m512i twice_32_bytes(const uint8_t* at) {
  return _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}

#else
template <uint64_t kBytes>
inline Bytes64 four_pieces(const uint8_t* at) {
  const auto piece = [&](int i) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + i * kBytes));
  };
  return {{_mm256_set_m128i(piece(1), piece(0)), _mm256_set_m128i(piece(3), piece(2))}};
}
#endif

template <typename Row>
void multiply_blocks(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                     float* sums) {
  multiply_rows<Row>(*static_cast<const GgufWeight*>(format), rows, x, sums);
}
template <typename Row>
constexpr RowDot dot(const uint8_t* column_order) {
  return {multiply_blocks<Row>, column_order, Row::kSumColumns, 1, false, kDotType, true};
}
// Of the integers that x is rounded to.
template <typename Row>
constexpr RowDot code_dot() {
  RowDot dot{multiply_blocks<Row>};
  dot.takes_codes = true;
  return dot;
}

#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
