// Rows of the K types of 4 to 6 bits, and of IQ4_XS.
#pragma once

#include "kernels/cpu/gguf/block_rows_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// factor * code of eight codes of a byte each.
inline __m256 eight_scales(__m256i codes, float factor) {
  return _mm256_mul_ps(_mm256_cvtepi32_ps(codes), _mm256_set1_ps(factor));
}
inline __m256i eight_bytes(const uint8_t* at) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
}
inline __m256i eight_signed_bytes(const uint8_t* at) {
  return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(at)));
}

// Integers of no sign are multiplied with less ado: their zero is taken off with the sums of x.
template <int kCount>
inline void offset_codes(const float* scales, float zero, float* offsets) {
#pragma GCC unroll 2
  for (int i = 0; i < kCount; i += 8)
    _mm256_store_ps(offsets + i, _mm256_mul_ps(_mm256_load_ps(scales + i), _mm256_set1_ps(zero)));
}

// A super-block of 256 columns, whose scales are of kScaleColumns, 16 or 32. Type writes them and,
// if kHasOffsets, what is added to each of their columns; unit(block, i) makes something of the
// codes of 32.
template <typename Type>
struct SuperBlockRow : UnitRow<typename Type::Numbers, Type::kBlock> {
  static constexpr uint64_t kColumns = 256, kBytes = Type::kBytes;
  static constexpr uint64_t kSumColumns = Type::kHasOffsets ? Type::kBlock : 0;
  static constexpr int kScales = 256 / Type::kScaleColumns;
  // What looks its numbers up waits for nothing but that.
  template <int kRows>
  static constexpr int kWeights = requires {
    Type::kLooksUp;
  }
  ? 1 : UnitRow<typename Type::Numbers, Type::kBlock>::template kWeights<kRows>;
  SuperBlockRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<kColumns, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    prefetch_behind<kBytes>(block);
    alignas(32) float scales[kScales], offsets[kScales];
    type.load_scales(block, scales, offsets);
    if constexpr (Type::kHasOffsets) {
#pragma GCC unroll 2
      for (int i = 0; i < kScales; i += 8)
        add_offsets<8>(to, to.column + Type::kScaleColumns * i, _mm256_load_ps(offsets + i));
    }
    add_units<8, kScales / 8>(
        to, scales, [&](int i) __attribute__((always_inline)) { return type.unit(block, i); });
    block += kBytes;
  }
  Type type;
  const uint8_t* block;
};

// Of 8 sub-blocks. The block begins as SubBlockCodes says.
inline void load_sub_blocks(const uint8_t* block, float unit, float* scales, float* offsets) {
  const __m128i bytes = sub_block_codes(block);
  _mm256_store_ps(scales, eight_scales(_mm256_cvtepu8_epi32(bytes), load_half(block) * unit));
  _mm256_store_ps(offsets, eight_scales(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes)),
                                        -load_half(block + 2)));
}
// Those of columns 32 apart are the halves of a byte.
inline __m256i nibbles_of_unit(const uint8_t* bytes, int unit) {
  const __m256i both = load_32(bytes + 32 * (unit / 2));
  return unit % 2 == 0 ? low_nibbles(both) : high_nibbles(both);
}

template <typename NumbersOf>
struct Q4K {
  using Numbers = NumbersOf;
  static constexpr uint64_t kBytes = 144, kBlock = 32;
  static constexpr int kScaleColumns = 32;
  static constexpr bool kHasOffsets = true;
  static void load_scales(const uint8_t* block, float* scales, float* offsets) {
    load_sub_blocks(block, 1, scales, offsets);
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    return table[nibbles_of_unit(block + 16, i)];
  }
  typename Numbers::UnsignedNibbles table;
};

template <typename NumbersOf>
struct Q5K {
  using Numbers = NumbersOf;
  static constexpr uint64_t kBytes = 176, kBlock = 32;
  static constexpr int kScaleColumns = 32;
  static constexpr bool kHasOffsets = true;
  static void load_scales(const uint8_t* block, float* scales, float* offsets) {
    load_sub_blocks(block, Numbers::kScale, scales, offsets);
  }
  [[gnu::always_inline]] static auto unit(const uint8_t* block, int i) {
    // Bit i of a byte is the fifth of a column of sub-block i.
    const __m256i fifths = load_32(block + 16);
    const __m256i moved =
        i < 4 ? _mm256_slli_epi16(fifths, 4 - i) : _mm256_srli_epi16(fifths, i - 4);
    return Numbers::unsigned_integers(_mm256_or_si256(
        nibbles_of_unit(block + 48, i), _mm256_and_si256(moved, _mm256_set1_epi8(16))));
  }
};

template <typename NumbersOf>
struct Q6K {
  using Numbers = NumbersOf;
  static constexpr uint64_t kBytes = 210, kBlock = 16;
  static constexpr int kScaleColumns = 16;
  static constexpr bool kHasOffsets = Numbers::kPlain;
  static void load_scales(const uint8_t* block, float* scales, float* offsets) {
    const float factor = load_half(block + 208) * Numbers::kScale;
    _mm256_store_ps(scales, eight_scales(eight_signed_bytes(block + 192), factor));
    _mm256_store_ps(scales + 8, eight_scales(eight_signed_bytes(block + 200), factor));
    offset_codes<16>(scales, -32, offsets);
  }
  // The upper two bits of columns 32 apart follow each other in a byte.
  [[gnu::always_inline]] static auto unit(const uint8_t* block, int i) {
    const int half = i / 4, quarter = i % 4;
    const __m256i both = load_32(block + 64 * half + 32 * (quarter % 2));
    const __m256i pairs = load_32(block + 128 + 32 * half);
    const __m256i low = quarter < 2 ? low_nibbles(both) : high_nibbles(both);
    const __m256i high = quarter < 2 ? _mm256_slli_epi16(pairs, 4 - 2 * quarter)
                                     : _mm256_srli_epi16(pairs, 2 * quarter - 4);
    const __m256i codes = _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
    if constexpr (Numbers::kPlain)
      return UnsignedCodes32{codes};
    else
      return Numbers::integers(_mm256_sub_epi8(codes, _mm256_set1_epi8(32)));
  }
};

// 8 blocks of 32 columns with a scale of six bits each.
template <typename NumbersOf>
struct Iq4Xs {
  using Numbers = NumbersOf;
  static constexpr uint64_t kBytes = 136, kBlock = 32;
  static constexpr int kScaleColumns = 32;
  static constexpr bool kHasOffsets = false;
  static void load_scales(const uint8_t* block, float* scales, float*) {
    const uint64_t codes = _pdep_u64(load_u32(block + 4), 0x0f0f'0f0f'0f0f'0f0f) |
                           _pdep_u64(load_u16(block + 2), 0x0303'0303'0303'0303) << 4;
    const __m256i bytes = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<int64_t>(codes)));
    _mm256_store_ps(scales,
                    eight_scales(_mm256_sub_epi32(bytes, _mm256_set1_epi32(32)), load_half(block)));
  }
  [[gnu::always_inline]] auto unit(const uint8_t* block, int i) const {
    return table[split_codes(block + 8 + 16 * i)];
  }
  typename Numbers::Nibbles table{kIq4Numbers.list};
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
