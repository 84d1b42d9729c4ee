// Rows of the types with blocks of 32 columns and one scale each.
#pragma once

#include "kernels/cpu/gguf/nibble_numbers.h"
#include "kernels/cpu/gguf/row_dot.h"
#include "kernels/cpu/linear/unit_rows_avx2.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// The codes of 16 bytes: the low halves, then the high ones.
inline __m256i split_codes(const uint8_t* bytes) {
  const __m128i nibbles = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
  return low_nibbles(_mm256_set_m128i(_mm_srli_epi16(nibbles, 4), nibbles));
}
inline __m256i load_32(const uint8_t* at) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
}
// All bits of a byte where its bit is set.
inline __m256i bytes_with(uint32_t bits) {
  const __m256i source =
      _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i places = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
  const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(bits)), source);
  return _mm256_cmpeq_epi8(_mm256_and_si256(spread, places), places);
}

// Asks for what lies kAhead bytes behind the next kBytes: with several rows at once the processor
// does not see by itself that they go on.
template <uint64_t kBytes>
[[gnu::always_inline]] inline void prefetch_behind(const uint8_t* bytes) {
  constexpr uint64_t kAhead = 1024;
#pragma GCC unroll 4
  for (uint64_t at = 0; at < kBytes; at += 64)
    _mm_prefetch(reinterpret_cast<const char*>(bytes + kAhead + at), _MM_HINT_T0);
}

// Blocks of 32 columns, four at a time. Type gives their scales, what is added to each of their
// columns if kHasOffsets, and unit(block), what is made of the codes of one.
template <typename Type>
struct BlockRow : UnitRow<typename Type::Numbers, 32> {
  static constexpr uint64_t kColumns = kDotColumns, kBytes = Type::kBytes;
  static constexpr uint64_t kSumColumns = Type::kHasOffsets ? 32 : 0;
  BlockRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<32, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    prefetch_behind<4 * kBytes>(block);
    alignas(16) float scales[4];
    const __m128 four = Type::scales(block);
    _mm_store_ps(scales, _mm_mul_ps(four, _mm_set1_ps(Type::kScale)));
    add_units<4, 1>(
        to, scales, [&](int i) __attribute__((always_inline)) {
          return type.unit(block + kBytes * i);
        });
    if constexpr (Type::kHasOffsets)
      add_offsets<4>(to, to.column, _mm256_zextps128_ps256(Type::offsets(block, four)));
    block += 4 * kBytes;
  }
  Type type;
  const uint8_t* block;
};

// Codes in 16 bytes behind a header of kHeaderBytes bytes. Table has their numbers.
template <typename NumbersOf, typename Table, uint64_t kHeaderBytes>
struct SplitBlocks {
  using Numbers = NumbersOf;
  static constexpr uint64_t kHeader = kHeaderBytes, kBytes = kHeader + 16;
  static constexpr bool kHasOffsets = false;
  static constexpr float kScale = 1;
  static __m128 scales(const uint8_t* block) { return four_halves<kBytes>(block); }
  [[gnu::always_inline]] auto unit(const uint8_t* block) const {
    return table[split_codes(block + kHeader)];
  }
  Table table;
};
template <typename Numbers>
struct Q40 : SplitBlocks<Numbers, typename Numbers::Nibbles, 2> {
  Q40() : Q40::SplitBlocks{typename Numbers::Nibbles(kNibblesAround8.list)} {}
};
// Integers of no sign are multiplied with less ado.
template <>
struct Q40<PlainCodes> : SplitBlocks<PlainCodes, PlainCodes::UnsignedNibbles, 2> {
  static constexpr bool kHasOffsets = true;
  static __m128 offsets(const uint8_t*, __m128 scales) {
    return _mm_mul_ps(scales, _mm_set1_ps(-8));
  }
};
template <typename Numbers>
struct Q41 : SplitBlocks<Numbers, typename Numbers::UnsignedNibbles, 4> {
  static constexpr bool kHasOffsets = true;
  static __m128 offsets(const uint8_t* block, __m128) {
    return four_halves<Q41::kBytes>(block + 2);
  }
};
template <typename Numbers>
struct Iq4Nl : SplitBlocks<Numbers, typename Numbers::Nibbles, 2> {
  Iq4Nl() : Iq4Nl::SplitBlocks{typename Numbers::Nibbles(kIq4Numbers.list)} {}
};
template <typename Numbers>
struct Mxfp4 : SplitBlocks<Numbers, typename Numbers::Nibbles, 1> {
  Mxfp4() : Mxfp4::SplitBlocks{typename Numbers::Nibbles(kFp4Numbers.list)} {}
  static __m128 scales(const uint8_t* block) {
    constexpr uint64_t kStep = Mxfp4::kBytes;
    const __m128i exponents =
        _mm_setr_epi32(block[0], block[kStep], block[2 * kStep], block[3 * kStep]);
    // Half of 2^(e - 127), which is subnormal for the two smallest.
    const __m128i normal = _mm_slli_epi32(_mm_sub_epi32(exponents, _mm_set1_epi32(1)), 23);
    const __m128i subnormal = _mm_sllv_epi32(_mm_set1_epi32(0x00200000), exponents);
    const __m128i small = _mm_cmpgt_epi32(_mm_set1_epi32(2), exponents);
    return _mm_castsi128_ps(_mm_blendv_epi8(normal, subnormal, small));
  }
};

// Codes in 16 bytes and a fifth bit of each in the four bytes before.
template <typename NumbersOf, uint64_t kHeader>
struct FiveBitBlocks {
  using Numbers = NumbersOf;
  static constexpr uint64_t kBytes = kHeader + 20;
  static constexpr bool kHasOffsets = true;
  static constexpr float kScale = Numbers::kScale;
  static __m128 scales(const uint8_t* block) { return four_halves<kBytes>(block); }
  [[gnu::always_inline]] static auto unit(const uint8_t* block) {
    const __m256i high =
        _mm256_and_si256(bytes_with(load_u32(block + kHeader)), _mm256_set1_epi8(16));
    return Numbers::unsigned_integers(_mm256_or_si256(split_codes(block + kHeader + 4), high));
  }
};
template <typename Numbers>
struct Q50 : FiveBitBlocks<Numbers, 2> {
  static __m128 offsets(const uint8_t*, __m128 scales) {
    return _mm_mul_ps(scales, _mm_set1_ps(-16));
  }
};
template <typename Numbers>
struct Q51 : FiveBitBlocks<Numbers, 4> {
  static __m128 offsets(const uint8_t* block, __m128) {
    return four_halves<Q51::kBytes>(block + 2);
  }
};

struct Q80Codes {
  using Numbers = PlainCodes;
  static constexpr uint64_t kBytes = 34;
  static constexpr bool kHasOffsets = false;
  static constexpr float kScale = 1;
  static __m128 scales(const uint8_t* block) { return four_halves<kBytes>(block); }
  [[gnu::always_inline]] static Codes32 unit(const uint8_t* block) { return {load_32(block + 2)}; }
};

// In float, integers of a byte are the faster the fewer of them are at hand at once.
struct Q80Row {
  static constexpr uint64_t kColumns = 32, kBytes = 34, kSumColumns = 0;
  Q80Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales&)
      : block(block_at<32, kBytes>(weight, row, begin)) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    auto dots = to.dots();
    add_columns<32>(words, block + 2, 0, dots);
    to.add(dots, _mm256_cvtph_ps(_mm_set1_epi16(static_cast<int16_t>(load_u16(block)))));
    block += kBytes;
  }
  IntegerWords words;
  const uint8_t* block;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
