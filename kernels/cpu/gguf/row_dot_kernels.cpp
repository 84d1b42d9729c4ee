// GGUF's types multiplied as they are stored. Compiled once for each instruction set.
#include "kernels/cpu/gguf/linear.h"
#include "kernels/cpu/gguf/nibble_numbers.h"
#include "kernels/cpu/gguf/row_dot.h"

#if defined(PRECIS_ROW_DOT_OF_BFLOAT16)
#include "kernels/cpu/gguf/block_rows_avx512.h"
#include "kernels/cpu/gguf/k_rows_avx512.h"
#include "kernels/cpu/gguf/pair_rows_avx512.h"
#elif defined(PRECIS_ROW_DOT)
#include "kernels/cpu/gguf/block_rows_avx2.h"
#include "kernels/cpu/gguf/k_rows_avx2.h"
#include "kernels/cpu/gguf/pair_rows_avx2.h"
#endif

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(PRECIS_ROW_DOT)

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

constexpr GgufRowDot kRowDots[] = {
    {"q4_0", dot<SplitRow<Q40>>(SplitRow<Q40>::kColumnOrder)},
    {"q4_1", dot<SplitRow<Q41>>(SplitRow<Q41>::kColumnOrder)},
    {"iq4_nl", dot<SplitRow<Iq4Nl>>(SplitRow<Iq4Nl>::kColumnOrder)},
    {"mxfp4", dot<SplitRow<Mxfp4>>(SplitRow<Mxfp4>::kColumnOrder)},
    {"q5_0", dot<FiveBitRow<false>>(FiveBitRow<false>::kColumnOrder)},
    {"q5_1", dot<FiveBitRow<true>>(FiveBitRow<true>::kColumnOrder)},
    {"q8_0", dot<Q80Row>(byte_columns())},
    {"iq4_xs", dot<Iq4XsRow>(kNibbleColumns<kSplitBlocks>.data())},
    {"q2_k", dot<Q2KRow>(Q2KRow::kColumnOrder)},
    {"tq2_0", dot<Tq20Row>(Tq20Row::kColumnOrder)},
    {"q3_k", dot<Q3KRow>(Q3KRow::kColumnOrder)},
    {"q4_k", dot<Q4KRow>(kNibbleColumns<kSubBlockPlanes>.data())},
    {"q5_k", dot<Q5KRow>(Q5KRow::kColumnOrder)},
    {"q6_k", dot<Q6KRow>(Q6KRow::kColumnOrder)},
};

#endif

}  // namespace

std::span<const GgufRowDot> gguf_row_dots() {
#if defined(PRECIS_ROW_DOT)
  return kRowDots;
#else
  return {};
#endif
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
