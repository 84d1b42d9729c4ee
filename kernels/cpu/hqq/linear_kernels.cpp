// Compiled once for each instruction set.
#include "kernels/cpu/hqq/linear.h"

#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(PRECIS_ROW_DOT)
// Codes of 4 or 2 bits: 2 or 4 rows stand in the same bytes.
template <int kGroup>
struct PlaneRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  PlaneRow(const HqqProductWeight& product, uint64_t row, uint64_t begin, uint64_t end,
           StripScales& strip)
      : table(low_bits(product.weight.grid.bits)), scales(strip.scales) {
    const HqqGrid& grid = product.weight.grid;
    const uint64_t from = row * product.in_features + begin, to = row * product.in_features + end;
    const uint64_t piece = grid.packed_rows() * grid.columns;
    plane = _mm_cvtsi32_si128(grid.bits * static_cast<int>(grid.pieces() - 1 - from / piece));
    bytes = static_cast<const uint8_t*>(product.weight.packed) + from % piece;
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

  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<PlaneRow>(*static_cast<const HqqProductWeight*>(format), rows, x, sums);
  }

  NibbleWords table;
  const uint8_t* bytes;
  __m128i plane;
  const float* scales;
};

// Codes of 8 bits.
template <int kGroup>
struct ByteRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  ByteRow(const HqqProductWeight& product, uint64_t row, uint64_t begin, uint64_t end,
          StripScales& strip)
      : bytes(static_cast<const uint8_t*>(product.weight.packed) + row * product.in_features +
              begin),
        scales(strip.scales) {
    const uint64_t from = row * product.in_features + begin, to = row * product.in_features + end;
    const auto load = [&](const void* stored, float* out) {
      load_group_numbers<kGroup>(from, to, product.weight.grid.columns, product.weight.meta_type,
                                 stored, out);
    };
    load(product.weight.scales, strip.scales);
    load(product.weight.zeros, strip.offsets);
    constexpr float kNumberOfZero = -128 + kIntegerShift;
    for (uint64_t i = 0; i < (to - from) / kGroup; ++i)
      strip.offsets[i] = -strip.scales[i] * (strip.offsets[i] + kNumberOfZero);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_bytes<kGroup>(words, bytes, to, scales);
    bytes += kDotColumns;
    scales += kDotColumns / kGroup;
  }

  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<ByteRow>(*static_cast<const HqqProductWeight*>(format), rows, x, sums);
  }

  IntegerWords words{0x80};
  const uint8_t* bytes;
  const float* scales;
};

RowDot row_dot(const HqqProductWeight& product) {
  const HqqGrid& grid = product.weight.grid;
  if (grid.bits == 8 && grid.axis == 1 && product.in_features % grid.columns == 0)
    return grouped_row_dot<ByteRow>(product.in_features, grid.columns, byte_columns());
  if ((grid.bits != 4 && grid.bits != 2) || grid.axis != 1 ||
      product.in_features % grid.columns != 0 || product.in_features % kDotColumns != 0)
    return {};
  const bool whole_pieces = grid.rows % (grid.pieces() * (product.in_features / grid.columns)) == 0;
  if (!whole_pieces) return {};
  if (grid.columns == 16)
    return row_dot_of<PlaneRow<16>>(kPlaneColumns<kBytePlanes>.data(), grid.pieces());
  return grouped_row_dot<PlaneRow>(product.in_features, grid.columns,
                                   kPlaneColumns<kBytePlanes>.data(), grid.pieces());
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
