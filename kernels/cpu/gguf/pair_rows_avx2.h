// Rows of the types whose codes have two bits in a byte of four: q2_k, q3_k and tq2_0.
#pragma once

#include "kernels/cpu/gguf/k_rows_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Codes of two bits in 64 bytes: those of columns 32 apart follow each other in a byte.
inline __m256i pair_codes(const uint8_t* bytes, int unit) {
  const __m256i bits = load_32(bytes + 32 * (unit / 4));
  return _mm256_and_si256(_mm256_srli_epi16(bits, 2 * (unit % 4)), _mm256_set1_epi8(3));
}

// Numbers of codes less `zero`, or the codes, whose zero is an offset.
template <typename Numbers, int zero>
struct PairTable : Numbers::Nibbles {
  PairTable() : Numbers::Nibbles(kUnsignedNibbles, zero) {}
};
template <int zero>
struct PairTable<PlainCodes, zero> : PlainCodes::UnsignedNibbles {};

template <typename NumbersOf>
struct Q2K {
  using Numbers = NumbersOf;
  static constexpr uint64_t kBytes = 84, kBlock = 16;
  static constexpr int kScaleColumns = 16;
  static constexpr bool kHasOffsets = true;
  static void load_scales(const uint8_t* block, float* scales, float* offsets) {
    const float scale = load_half(block + 80), minimum = -load_half(block + 82);
#pragma GCC unroll 2
    for (int i = 0; i < 16; i += 8) {
      const __m256i both = eight_bytes(block + i);
      _mm256_store_ps(scales + i,
                      eight_scales(_mm256_and_si256(both, _mm256_set1_epi32(15)), scale));
      _mm256_store_ps(offsets + i, eight_scales(_mm256_srli_epi32(both, 4), minimum));
    }
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    return table[pair_codes(block + 16, i)];
  }
  typename Numbers::UnsignedNibbles table;
};

// One scale a block.
template <typename NumbersOf>
struct Tq20 {
  using Numbers = NumbersOf;
  static constexpr uint64_t kBytes = 66, kBlock = 32;
  static constexpr int kScaleColumns = 32;
  static constexpr bool kHasOffsets = Numbers::kPlain;
  static void load_scales(const uint8_t* block, float* scales, float* offsets) {
    _mm256_store_ps(scales, _mm256_set1_ps(load_half(block + 64)));
    offset_codes<8>(scales, -1, offsets);
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    return table[pair_codes(block, i)];
  }
  PairTable<Numbers, 1> table;
};

// Q2K with a third bit of each code in 32 bytes before the others.
template <typename NumbersOf>
struct Q3K {
  using Numbers = NumbersOf;
  static constexpr uint64_t kBytes = 110, kBlock = 16;
  static constexpr int kScaleColumns = 16;
  static constexpr bool kHasOffsets = Numbers::kPlain;
  static void load_scales(const uint8_t* block, float* scales, float* offsets) {
    const __m128i codes = sixteen_scale_codes(block + 96);
    const __m128i centred = _mm_sub_epi8(codes, _mm_set1_epi8(32));
    const float factor = load_half(block + 108);
    _mm256_store_ps(scales, eight_scales(_mm256_cvtepi8_epi32(centred), factor));
    _mm256_store_ps(
        scales + 8,
        eight_scales(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(centred, centred)), factor));
    offset_codes<16>(scales, -4, offsets);
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    // Bit i of a byte belongs to the column 32 i further on.
    const __m256i thirds = load_32(block);
    const __m256i bit = i < 2 ? _mm256_slli_epi16(thirds, 2 - i) : _mm256_srli_epi16(thirds, i - 2);
    return table[_mm256_or_si256(pair_codes(block + 32, i),
                                 _mm256_and_si256(bit, _mm256_set1_epi8(4)))];
  }
  PairTable<Numbers, 4> table;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
