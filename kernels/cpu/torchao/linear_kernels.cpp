// Compiled once for each instruction set.
#include "kernels/cpu/torchao/linear.h"

#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
template <typename Scale>
void dot_row(const AoWeight& weight, uint64_t row, const BFloat16Rows& x, float* sums) {
  using Stored = typename Scale::Stored;
  const uint8_t* codes = static_cast<const uint8_t*>(weight.qdata) + row * weight.columns / 2;
  const auto* scales = static_cast<const Stored*>(weight.scales) + row;
  const auto* zeros = static_cast<const Stored*>(weight.zeros) + row;
  const NibbleWords table(kSignedNibbles);
  dot_rows(x, sums, [&](auto& products) {
    for (uint64_t block = 0; block < weight.columns / weight.block; ++block) {
      add_nibble_pairs(table, codes + block * weight.block / 2, weight.block,
                       Scale::load(scales, block * weight.rows), products);
      products.add_offset(Scale::load(zeros, block * weight.rows), weight.block / kSumColumns);
    }
  });
}

void dot(const void* format, uint64_t row, const BFloat16Rows& x, float* sums) {
  const AoWeight& weight = static_cast<const AoProductWeight*>(format)->weight;
  with_type(weight.scale_type, [&](auto scale) { dot_row<decltype(scale)>(weight, row, x, sums); });
}
#else
constexpr DotBfloat16 dot = nullptr;
#endif

}  // namespace

const AoLinearKernels& ao_linear_kernels() {
  static constexpr AoLinearKernels kernels{dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
