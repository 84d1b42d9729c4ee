// Compiled once for each instruction set.
#include "kernels/cpu/fp8/linear.h"

#include "kernels/cpu/common/float8_words.h"
#include "kernels/cpu/fp8/scales.h"
#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

void decode_groups(const void* format, uint64_t row, uint64_t begin, uint64_t end, uint16_t* out,
                   float* scales) {
  const auto& weight = *static_cast<const Fp8Product*>(format);
  const Fp8Tiles& tiles = weight.tiles;
  float8_e4m3fn_to_bfloat16(weight.codes + row * tiles.columns + begin, end - begin, out);
  const uint64_t first = row / tiles.tile_rows * tiles.tiles_per_row();
  const uint64_t group = std::min(tiles.tile_columns, kStrip);
  for (uint64_t i = begin; i < end; i += group)
    *scales++ = load_fp8_scale(weight.scale_type, weight.scales, first + i / tiles.tile_columns);
}

#if defined(PRECIS_ROW_DOT)
template <int kGroup>
struct Float8Row {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = 0;
  static constexpr float kFactor = kFloat8Factor;

  Float8Row(const Fp8Product& weight, uint64_t row, uint64_t begin, uint64_t end,
            StripScales& strip)
      : codes(weight.codes + row * weight.tiles.columns + begin), scales(strip.scales) {
    const Fp8Tiles& tiles = weight.tiles;
    const uint64_t first = row / tiles.tile_rows * tiles.tiles_per_row();
    load_groups<kGroup>(
        begin, end, tiles.tile_columns,
        [&](uint64_t tile) {
          return load_fp8_scale(weight.scale_type, weight.scales, first + tile);
        },
        strip.scales);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_bytes<kGroup>(words, codes, to, scales);
    codes += kDotColumns;
    scales += kDotColumns / kGroup;
  }
  float nan() const { return nan_of(words); }
  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<Float8Row>(*static_cast<const Fp8Product*>(format), rows, x, sums);
  }

  Float8E4M3FNWords words;
  const uint8_t* codes;
  const float* scales;
};

RowDot row_dot(const Fp8Product& weight) {
  return exact(
      grouped_row_dot<Float8Row>(weight.tiles.columns, weight.tiles.tile_columns, byte_columns()));
}
#else
RowDot row_dot(const Fp8Product&) {
  return {};
}
#endif

}  // namespace

const Fp8LinearKernels& fp8_linear_kernels() {
  static constexpr Fp8LinearKernels kernels{decode_groups, row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
