// GGUF's types multiplied as they are stored. Compiled once for each instruction set.
#include "kernels/cpu/gguf/linear.h"
#include "kernels/cpu/gguf/nibble_numbers.h"
#include "kernels/cpu/gguf/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)

// Blocks of 32 columns in 16 bytes behind a header of kHeader bytes. Type has the numbers and
// scales(first of four headers).
template <typename Type>
struct SplitRow {
  static constexpr uint64_t kColumns = kDotColumns, kBytes = Type::kHeader + 16;
  static constexpr uint64_t kSumColumns = Type::kHasOffsets ? 32 : 0;
  SplitRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<32, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_nibbles(table, four_pieces<kBytes>(block + Type::kHeader), to,
                four_scales(Type::scales(block)));
    if constexpr (kSumColumns != 0) {
      _mm_storeu_ps(offsets, four_halves<kBytes>(block + 2));
      offsets += 4;
    }
    block += 4 * kBytes;
  }
  NibbleWords table{Type::numbers()};
  const uint8_t* block;
  float* offsets;
};
struct Q40 {
  static constexpr uint64_t kHeader = 2;
  static constexpr bool kHasOffsets = false;
  static const float* numbers() { return kNibblesAround8.list; }
  static __m128 scales(const uint8_t* block) { return four_halves<18>(block); }
};
struct Q41 {
  static constexpr uint64_t kHeader = 4;
  static constexpr bool kHasOffsets = true;
  static const float* numbers() { return kUnsignedNibbles; }
  static __m128 scales(const uint8_t* block) { return four_halves<20>(block); }
};
struct Iq4Nl : Q40 {
  static const float* numbers() { return kIq4Numbers.list; }
};
struct Mxfp4 {
  static constexpr uint64_t kHeader = 1;
  static constexpr bool kHasOffsets = false;
  static const float* numbers() { return kFp4Numbers.list; }
  static __m128 scales(const uint8_t* block) {
    return _mm_setr_ps(e8m0_half(block[0]), e8m0_half(block[17]), e8m0_half(block[34]),
                       e8m0_half(block[51]));
  }
};

// SplitRow with a fifth bit of each code in the four bytes before the others.
template <bool kHasOffsets>
struct FiveBitRow {
  static constexpr uint64_t kColumns = kDotColumns, kHeader = kHasOffsets ? 4 : 2;
  static constexpr uint64_t kBytes = kHeader + 20, kSumColumns = kHasOffsets ? 32 : 0;
  FiveBitRow(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<32, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const uint8_t* fifths = block + kHeader;
    const __m512i words = four_pieces<kBytes>(fifths + 4);
    // The bits of columns 0 to 15 of a block in each of its eight words, and those of the others.
    const __m512i bits = _mm512_castsi128_si512(_mm_setr_epi32(
        static_cast<int>(load_u32(fifths)), static_cast<int>(load_u32(fifths + kBytes)),
        static_cast<int>(load_u32(fifths + 2 * kBytes)),
        static_cast<int>(load_u32(fifths + 3 * kBytes))));
    const __m512i first = _mm512_permutexvar_epi16(_mm512_load_si512(kFirstBits.data()), bits);
    const __m512i last = _mm512_permutexvar_epi16(_mm512_load_si512(kLastBits.data()), bits);
    const __m512i even = _mm512_set1_epi64(0x0040'0010'0004'0001),
                  even_up = _mm512_set1_epi64(0x4000'1000'0400'0100);
    const __m512i evens = _mm512_unpacklo_epi64(even, even_up), odds = _mm512_slli_epi16(evens, 1);
    const auto numbers = [&](int shift, __m512i source, __m512i places) {
      const __m512i codes = _mm512_srli_epi16(words, static_cast<unsigned>(shift));
      return high.where(_mm512_test_epi16_mask(source, places), codes, low[codes]);
    };
    to.add(numbers(0, first, evens), numbers(4, last, evens), numbers(8, first, odds),
           numbers(12, last, odds), four_scales(four_halves<kBytes>(block)));
    if constexpr (kHasOffsets) {
      _mm_storeu_ps(offsets, four_halves<kBytes>(block + 2));
      offsets += 4;
    }
    block += 4 * kBytes;
  }

  // Half `half` of the bits of block i / 8 for word i.
  static constexpr std::array<uint16_t, 32> bits_of_words(int half) {
    std::array<uint16_t, 32> words{};
    for (std::size_t i = 0; i < words.size(); ++i)
      words[i] = static_cast<uint16_t>(2 * (i / 8) + static_cast<std::size_t>(half));
    return words;
  }
  alignas(64) static constexpr std::array<uint16_t, 32> kFirstBits = bits_of_words(0),
                                                        kLastBits = bits_of_words(1);

  static constexpr float kZero = kHasOffsets ? 0 : 16;
  NibbleWords low{kUnsignedNibbles, kZero}, high{kUnsignedNibbles, kZero - 16};
  const uint8_t* block;
  float* offsets;
};

struct Q80Row {
  static constexpr uint64_t kColumns = kDotColumns, kBytes = 34, kSumColumns = 32;
  Q80Row(const GgufWeight& weight, uint64_t row, uint64_t begin, uint64_t, StripScales& strip)
      : block(block_at<32, kBytes>(weight, row, begin)), offsets(strip.offsets) {}
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    __m512i numbers[4];
    words.look_up_lanes(two_pieces(block + 2), numbers);
    words.look_up_lanes(two_pieces(block + 2 * kBytes + 2), numbers + 2);
    const __m128 scales = four_halves<kBytes>(block);
    _mm_storeu_ps(offsets, _mm_mul_ps(scales, _mm_set1_ps(-kIntegerShift)));
    const auto two_blocks = [&](int first) {
      const __m512i lanes =
          _mm512_inserti64x4(_mm512_set1_epi32(first), _mm256_set1_epi32(first + 1), 1);
      return _mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(scales));
    };
    to.add(numbers[0], numbers[2], numbers[1], numbers[3], two_blocks(0), two_blocks(2));
    offsets += 4;
    block += 4 * kBytes;
  }
  static __m512i two_pieces(const uint8_t* at) {
    const auto piece = [&](uint64_t i) {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i * kBytes));
    };
    return _mm512_inserti64x4(_mm512_castsi256_si512(piece(0)), piece(1), 1);
  }
  IntegerWords words;
  const uint8_t* block;
  float* offsets;
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

// Of 64 columns of a Q4_K or Q5_K the first 32 are in the low halves of 32 bytes.
constexpr ColumnOrder kSubBlockPlanes = column_order([](uint64_t vector, uint64_t word) {
  return 64 * (word / 16) + 32 * (vector % 2) + 2 * (word % 16) + vector / 2;
});
// Of 8 sub-blocks. The block begins as SubBlockCodes says.
struct SubBlocks {
  __m512 scales;    // of sub-blocks in the first 8 lanes
  __m256 minimums;  // negated
  explicit SubBlocks(const uint8_t* block) {
    // The four words of SubBlockCodes.
    const __m128i header = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block));
    const __m128i high =
        _mm_srlv_epi32(_mm_shuffle_epi32(header, 0b10'10'01'01), _mm_setr_epi32(0, 2, 0, 2));
    const __m128i low = _mm_srlv_epi32(_mm_shuffle_epi32(header, 0xff), _mm_setr_epi32(0, 0, 0, 4));
    const __m128i bytes = _mm_or_si128(
        _mm_and_si128(high, _mm_setr_epi32(0x3f3f3f3f, 0x30303030, 0x3f3f3f3f, 0x30303030)),
        _mm_and_si128(low, _mm_setr_epi32(0, 0x0f0f0f0f, 0, 0x0f0f0f0f)));
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

// The low 4 bits of words of `low`, bits above them of `high`.
inline __m512i join_nibbles(__m512i low, __m512i high) {
  constexpr int kSelect = 0xca;
  return _mm512_ternarylogic_epi32(_mm512_set1_epi16(15), low, high, kSelect);
}
struct Q5KRow {
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
  // Six bits each: four in halves of eight bytes, two in a quarter of a byte.
  __m512 sub_block_scales() const {
    const uint64_t nibbles = load_u32(block + 96) | uint64_t{load_u32(block + 100)} << 32;
    const __m128i low =
        _mm_set_epi64x(static_cast<int64_t>(nibbles >> 4), static_cast<int64_t>(nibbles));
    const __m128i high = _mm_srlv_epi32(_mm_set1_epi32(static_cast<int>(load_u32(block + 104))),
                                        _mm_setr_epi32(0, 2, 4, 6));
    const __m128i codes = _mm_or_si128(_mm_and_si128(low, _mm_set1_epi8(15)),
                                       _mm_slli_epi16(_mm_and_si128(high, _mm_set1_epi8(3)), 4));
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

constexpr GgufRowDot kRowDots[] = {
    {"q4_0", dot<SplitRow<Q40>>(kSplitBlocks.data())},
    {"q4_1", dot<SplitRow<Q41>>(kSplitBlocks.data())},
    {"iq4_nl", dot<SplitRow<Iq4Nl>>(kSplitBlocks.data())},
    {"mxfp4", dot<SplitRow<Mxfp4>>(kSplitBlocks.data())},
    {"q5_0", dot<FiveBitRow<false>>(kSplitBlocks.data())},
    {"q5_1", dot<FiveBitRow<true>>(kSplitBlocks.data())},
    {"q8_0", dot<Q80Row>(kByteLanes.data())},
    {"iq4_xs", dot<Iq4XsRow>(kSplitBlocks.data())},
    {"q2_k", dot<Q2KRow>(kBytePlanes.data())},
    {"tq2_0", dot<Tq20Row>(kBytePlanes.data())},
    {"q3_k", dot<Q3KRow>(kBytePlanes.data())},
    {"q4_k", dot<Q4KRow>(kSubBlockPlanes.data())},
    {"q5_k", dot<Q5KRow>(kSubBlockPlanes.data())},
    {"q6_k", dot<Q6KRow>(kBytePlanes.data())},
};

#endif

}  // namespace

std::span<const GgufRowDot> gguf_row_dots() {
#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
  return kRowDots;
#else
  return {};
#endif
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
