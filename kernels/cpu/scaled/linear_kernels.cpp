// Compiled once for each instruction set.
#include "kernels/cpu/scaled/linear.h"

#include "kernels/cpu/linear/nibble_dot.h"
#include "kernels/cpu/scaled/tile_values.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
void dot(const void* format, uint64_t row, const BFloat16Rows& x, float* sums) {
  const ScaledWeight& weight = static_cast<const ScaledProduct*>(format)->weight;
  const NibbleNumbers numbers(weight.rows);
  const NibbleWords symmetric(numbers.list);
  const uint8_t* codes = static_cast<const uint8_t*>(weight.codes) + row * weight.rows.row_bytes();
  const uint64_t first = row / weight.tiles.rows * weight.tiles.per_row;
  const auto scale = [&](uint64_t tile) { return load_scale(weight, first + tile); };
  dot_rows(x, sums, [&](auto& products) {
    for (uint64_t tile = 0, column = 0; column < weight.rows.columns; ++tile) {
      const uint64_t count = std::min(weight.tiles.columns, weight.rows.columns - column);
      const uint8_t* packed = codes + column / 2;
      if (weight.zero_type == ZeroType::none) {
        add_nibble_pairs(symmetric, packed, count, scale(tile), products);
      } else {
        const float zero =
            load_zero(weight.zero_type, weight.rows, weight.tiles, weight.zeros, row, tile);
        add_nibble_pairs(NibbleWords(numbers.list, zero), packed, count, scale(tile), products);
      }
      column += count;
    }
  });
}
#else
constexpr DotBfloat16 dot = nullptr;
#endif

}  // namespace

const ScaledLinearKernels& scaled_linear_kernels() {
  static constexpr ScaledLinearKernels kernels{dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
