// Compiled once for each instruction set.
#include "kernels/cpu/hqq/linear.h"

#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
template <typename Meta>
void dot_row(const HqqProductWeight& product, uint64_t row, const BFloat16Rows& x, float* sums) {
  using Stored = typename Meta::Stored;
  const HqqGrid& grid = product.weight.grid;
  const uint64_t packed_rows = grid.packed_rows(), groups = product.in_features / grid.columns;
  const auto* packed = static_cast<const uint8_t*>(product.weight.packed);
  const auto* scales = static_cast<const Stored*>(product.weight.scales);
  const auto* zeros = static_cast<const Stored*>(product.weight.zeros);
  const NibbleWords table(kUnsignedNibbles);
  dot_rows(x, sums, [&](auto& products) {
    for (uint64_t group = row * groups; group < (row + 1) * groups; ++group) {
      const bool upper = group < packed_rows;  // the first half of the rows
      const uint8_t* bytes = packed + (upper ? group : group - packed_rows) * grid.columns;
      const float scale = Meta::load(scales, group), zero = Meta::load(zeros, group);
      add_nibble_plane(table, bytes, upper ? 4 : 0, grid.columns, scale, products);
      products.add_offset(-zero * scale, grid.columns / kSumColumns);
    }
  });
}

void dot(const void* format, uint64_t row, const BFloat16Rows& x, float* sums) {
  const auto& product = *static_cast<const HqqProductWeight*>(format);
  with_type(product.weight.meta_type,
            [&](auto meta) { dot_row<decltype(meta)>(product, row, x, sums); });
}
#else
constexpr DotBfloat16 dot = nullptr;
#endif

}  // namespace

const HqqLinearKernels& hqq_linear_kernels() {
  static constexpr HqqLinearKernels kernels{dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
