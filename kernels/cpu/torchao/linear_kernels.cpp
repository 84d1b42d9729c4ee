// Compiled once for each instruction set.
#include "kernels/cpu/torchao/linear.h"

#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(PRECIS_ROW_DOT)
template <int kGroup>
struct NibbleRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  NibbleRow(const AoProductWeight& product, uint64_t row, uint64_t begin, uint64_t end,
            StripScales& strip)
      : packed(static_cast<const uint8_t*>(product.weight.qdata) +
               (row * product.weight.columns + begin) / 2),
        scales(strip.scales) {
    const AoWeight& weight = product.weight;
    const uint64_t blocks = weight.columns / weight.block;
    const uint64_t bytes = weight.scale_type == WeightType::f32 ? 4 : 2;
    const auto load = [&](const std::vector<std::byte>& stored, float* to) {
      load_group_numbers<kGroup>(begin, end, weight.block, weight.scale_type,
                                 stored.data() + row * blocks * bytes, to);
    };
    load(product.row_scales, strip.scales);
    load(product.row_zeros, strip.offsets);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_nibbles(table, load_words(packed), to, neighbour_scales<kGroup>(scales));
    packed += kDotColumns / 2;
    scales += kDotColumns / kGroup;
  }

  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<NibbleRow>(*static_cast<const AoProductWeight*>(format), rows, x, sums);
  }

  NibbleWords table{kSignedNibbles};
  const uint8_t* packed;
  const float* scales;
};

RowDot row_dot(const AoWeight& weight) {
  if (weight.codes != AoCodes::int4_pairs || weight.columns % weight.block != 0) return {};
  return grouped_row_dot<NibbleRow>(weight.columns, weight.block,
                                    kNibbleColumns<kLowNibbleFirst>.data());
}
#else
RowDot row_dot(const AoWeight&) {
  return {};
}
#endif

}  // namespace

const AoLinearKernels& ao_linear_kernels() {
  static constexpr AoLinearKernels kernels{row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
