// Compiled once for each instruction set.
#include "kernels/cpu/scaled/linear.h"

#include "kernels/cpu/linear/row_dot.h"
#include "kernels/cpu/scaled/tile_values.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
// Calls body(tile, first column, columns, scale) for the tiles of a row.
template <typename Body>
void for_tiles(const ScaledWeight& weight, uint64_t row, Body body) {
  constexpr uint64_t kTilesAtOnce = 64;
  float scales[kTilesAtOnce];
  const uint64_t first = row / weight.tiles.rows * weight.tiles.per_row;
  for (uint64_t tile = 0, column = 0; column < weight.rows.columns; ++tile) {
    if (tile % kTilesAtOnce == 0) {
      const uint64_t end = std::min(tile + kTilesAtOnce, weight.tiles.per_row);
      load_scales(weight, first + tile, first + end, scales);
    }
    const uint64_t count = std::min(weight.tiles.columns, weight.rows.columns - column);
    body(tile, column, count, scales[tile % kTilesAtOnce]);
    column += count;
  }
}

void dot_nibbles(const ScaledWeight& weight, uint64_t row, const BFloat16Rows& x, float* sums) {
  const NibbleNumbers numbers(weight.rows);
  const NibbleWords symmetric(numbers.list);
  const uint8_t* codes = static_cast<const uint8_t*>(weight.codes) + row * weight.rows.row_bytes();
  const auto zero = [&](uint64_t tile) {
    return load_zero(weight.zero_type, weight.rows, weight.tiles, weight.zeros, row, tile);
  };
  dot_rows(x, sums, [&](auto& products) {
    for_tiles(weight, row, [&](uint64_t tile, uint64_t column, uint64_t count, float scale) {
      const NibbleWords table =
          weight.zero_type == ZeroType::none ? symmetric : NibbleWords(numbers.list, zero(tile));
      add_nibble_pairs(table, codes + column / 2, count, scale, products);
    });
  });
}

void dot_bytes(const ScaledWeight& weight, uint64_t row, const BFloat16Rows& x, float* sums) {
  const bool is_signed = weight.rows.type == NarrowType::int8;
  const IntegerWords words(is_signed, is_signed ? 0 : 128);
  const uint8_t* codes = static_cast<const uint8_t*>(weight.codes) + row * weight.rows.row_bytes();
  dot_rows(x, sums, [&](auto& products) {
    for_tiles(weight, row, [&](uint64_t tile, uint64_t column, uint64_t count, float scale) {
      add_bytes(words, codes + column, count, scale, products);
      const float zero =
          load_zero(weight.zero_type, weight.rows, weight.tiles, weight.zeros, row, tile);
      products.add_offset(-zero * scale, count / kSumColumns);
    });
  });
}

void dot(const void* format, uint64_t row, const BFloat16Rows& x, float* sums) {
  const ScaledWeight& weight = static_cast<const ScaledProduct*>(format)->weight;
  if (has_integer_bytes(weight)) return dot_bytes(weight, row, x, sums);
  dot_nibbles(weight, row, x, sums);
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
