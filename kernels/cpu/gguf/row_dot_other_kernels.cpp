// The ternary types, NVFP4 and the plain 1- and 2-bit types multiplied as they are stored. Compiled
// once for each instruction set.
#include "kernels/cpu/gguf/row_dot.h"

#if defined(PRECIS_ROW_DOT_OF_BFLOAT16)
#include "kernels/cpu/gguf/other_rows_avx512.h"
#elif defined(PRECIS_ROW_DOT)
#include "kernels/cpu/gguf/other_rows_avx2.h"
#endif

namespace precis::kernels {
inline namespace PRECIS_ISA {

#if defined(PRECIS_ROW_DOT)
namespace {
constexpr GgufRowDot kRowDots[] = {
    {"q1_0", dot<Q10Row>(Q10Row::kColumnOrder)},
    {"q2_0", dot<Q20Row>(Q20Row::kColumnOrder)},
    {"tq1_0", dot<Tq10Row>(Tq10Row::kColumnOrder)},
    {"nvfp4", dot<NvFp4Row>(NvFp4Row::kColumnOrder)},
};
}  // namespace
#endif

std::span<const GgufRowDot> gguf_other_row_dots() {
#if defined(PRECIS_ROW_DOT)
  return kRowDots;
#else
  return {};
#endif
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
