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

#if defined(PRECIS_ROW_DOT_OF_BFLOAT16)

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

#elif defined(PRECIS_ROW_DOT)

template <typename Row>
constexpr GgufRowDot number_dot(std::string_view name) {
  return {name, dot<Row>(kUnitColumns.data())};
}
constexpr GgufRowDot kRowDots[] = {
    number_dot<BlockRow<Q40<NumbersOfCodes>>>("q4_0"),
    number_dot<BlockRow<Q41<NumbersOfCodes>>>("q4_1"),
    number_dot<BlockRow<Iq4Nl<NumbersOfCodes>>>("iq4_nl"),
    number_dot<BlockRow<Mxfp4<NumbersOfCodes>>>("mxfp4"),
    number_dot<BlockRow<Q50<NumbersOfCodes>>>("q5_0"),
    number_dot<BlockRow<Q51<NumbersOfCodes>>>("q5_1"),
    number_dot<SuperBlockRow<Iq4Xs<NumbersOfCodes>>>("iq4_xs"),
    number_dot<SuperBlockRow<Q2K<NumbersOfCodes>>>("q2_k"),
    number_dot<SuperBlockRow<Tq20<NumbersOfCodes>>>("tq2_0"),
    number_dot<SuperBlockRow<Q3K<NumbersOfCodes>>>("q3_k"),
    number_dot<SuperBlockRow<Q4K<NumbersOfCodes>>>("q4_k"),
    number_dot<SuperBlockRow<Q5K<NumbersOfCodes>>>("q5_k"),
    number_dot<SuperBlockRow<Q6K<NumbersOfCodes>>>("q6_k"),
    {"q8_0", dot<Q80Row>(byte_columns())},
};
constexpr GgufRowDot kCodeDots[] = {
    {"q4_0", code_dot<BlockRow<Q40<PlainCodes>>>()},
    {"q4_1", code_dot<BlockRow<Q41<PlainCodes>>>()},
    {"iq4_nl", code_dot<BlockRow<Iq4Nl<PlainCodes>>>()},
    {"mxfp4", code_dot<BlockRow<Mxfp4<PlainCodes>>>()},
    {"q5_0", code_dot<BlockRow<Q50<PlainCodes>>>()},
    {"q5_1", code_dot<BlockRow<Q51<PlainCodes>>>()},
    {"q8_0", code_dot<BlockRow<Q80Codes>>()},
    {"iq4_xs", code_dot<SuperBlockRow<Iq4Xs<PlainCodes>>>()},
    {"q2_k", code_dot<SuperBlockRow<Q2K<PlainCodes>>>()},
    {"tq2_0", code_dot<SuperBlockRow<Tq20<PlainCodes>>>()},
    {"q3_k", code_dot<SuperBlockRow<Q3K<PlainCodes>>>()},
    {"q4_k", code_dot<SuperBlockRow<Q4K<PlainCodes>>>()},
    {"q5_k", code_dot<SuperBlockRow<Q5K<PlainCodes>>>()},
    {"q6_k", code_dot<SuperBlockRow<Q6K<PlainCodes>>>()},
};

#endif

}  // namespace

std::span<const GgufRowDot> gguf_code_dots() {
#if defined(PRECIS_ROW_DOT) && !defined(PRECIS_ROW_DOT_OF_BFLOAT16)
  return kCodeDots;
#else
  return {};
#endif
}
std::span<const GgufRowDot> gguf_row_dots() {
#if defined(PRECIS_ROW_DOT)
  return kRowDots;
#else
  return {};
#endif
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
