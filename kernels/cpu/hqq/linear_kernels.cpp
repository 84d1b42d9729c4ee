// Compiled once for each instruction set.
#include "kernels/cpu/hqq/linear.h"

#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
template <int kGroup>
struct NibbleRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  NibbleRow(const HqqProductWeight& product, uint64_t row, uint64_t begin, uint64_t end,
            StripScales& strip)
      : scales(strip.scales) {
    const HqqGrid& grid = product.weight.grid;
    const uint64_t from = row * product.in_features + begin, to = row * product.in_features + end;
    const uint64_t half = grid.packed_rows() * grid.columns;
    plane = _mm_cvtsi32_si128(from < half ? 4 : 0);
    bytes = static_cast<const uint8_t*>(product.weight.packed) + from % half;
    const auto load = [&](const void* stored, float* out) {
      load_group_numbers<kGroup>(from, to, grid.columns, product.weight.meta_type, stored, out);
    };
    load(product.weight.scales, strip.scales);
    load(product.weight.zeros, strip.offsets);
    for (uint64_t i = 0; i < (to - from) / kGroup; ++i) strip.offsets[i] *= -strip.scales[i];
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_plane(table, bytes, plane, to, half_scales<kGroup>(scales, 0),
              half_scales<kGroup>(scales, 1));
    bytes += kDotColumns;
    scales += kDotColumns / kGroup;
  }

  static void multiply(const void* format, std::span<const uint64_t> rows, const BFloat16Rows& x,
                       float* sums) {
    multiply_rows<NibbleRow>(*static_cast<const HqqProductWeight*>(format), rows, x, sums);
  }

  NibbleWords table{kUnsignedNibbles};
  const uint8_t* bytes;
  __m128i plane;
  const float* scales;
};

RowDot row_dot(const HqqProductWeight& product) {
  const HqqGrid& grid = product.weight.grid;
  if (grid.bits != 4 || grid.axis != 1 || product.in_features % grid.columns != 0) return {};
  const bool whole_halves = grid.rows % (2 * (product.in_features / grid.columns)) == 0;
  if (!whole_halves) return {};
  return grouped_row_dot<NibbleRow>(product.in_features, grid.columns, kBytePlanes.data(), true);
}
#else
RowDot row_dot(const HqqProductWeight&) {
  return {};
}
#endif

}  // namespace

const HqqLinearKernels& hqq_linear_kernels() {
  static constexpr HqqLinearKernels kernels{row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
