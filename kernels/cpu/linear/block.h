// A block of rows of the weight, decoded strip by strip into the second-level cache, and its sums.
#pragma once

#include <algorithm>

#include "kernels/cpu/linear/output.h"
#include "kernels/cpu/linear/tile_shape.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {

inline constexpr uint64_t kSumsBytesStride = kSumsStride * sizeof(float);

struct Block {
  uint64_t rows, padded_rows;
  uint64_t x_begin, x_padded_end;
  std::byte* tile;
  float *scales, *minimums;
  std::byte* sums;
};

// Calls body(panel's first row, its vectors, where its sums start).
template <typename Body>
void for_panels(const Block& block, Body&& body) {
  for (uint64_t first = block.x_begin; first < block.x_padded_end; first += kPanelRows) {
    const uint64_t lanes = std::min(kPanelRows, block.x_padded_end - first);
    body(first, lanes / kWidth, block.sums + (first - block.x_begin) * sizeof(float));
  }
}

// Fills up with zeros where columns [begin, end) of the block's rows are decoded.
template <typename Element>
void pad_tile(const Block& block, uint64_t begin, uint64_t end) {
  const uint64_t columns = round_up(end - begin, kColumnPad);
  for (uint64_t row = 0; row < block.padded_rows; ++row) {
    auto* out = reinterpret_cast<Element*>(block.tile + row * kTileStride);
    std::fill(out + (row < block.rows ? end - begin : 0), out + columns, Element{});
  }
}

// Decodes these columns, and pads.
template <typename Element, typename Decode>
void fill_tile(const Block& block, uint64_t begin, uint64_t end, Decode&& decode) {
  for (uint64_t row = 0; row < block.rows; ++row)
    decode(row, reinterpret_cast<Element*>(block.tile + row * kTileStride));
  pad_tile<Element>(block, begin, end);
}

inline void fill_scales(const LinearWeight& weight, const Block& block, uint64_t count,
                        uint64_t padded_count) {
  for (uint64_t row = 0; row < block.padded_rows; ++row) {
    const uint64_t filled = row < block.rows ? count : 0;
    float* scales = block.scales + row * kScaleStride;
    std::fill(scales + filled, scales + padded_count, 0.0f);
    if (!weight.minimums) continue;
    float* minimums = block.minimums + row * kScaleStride;
    std::fill(minimums + filled, minimums + padded_count, 0.0f);
  }
}

inline void write_block(const PreparedActivations& x, const Block& block, uint64_t first_row,
                        uint64_t x_end, const LinearOutput& y) {
  const auto* sums = reinterpret_cast<const float*>(block.sums);
  with_type(x.source.type, [&](auto tag) {
    for (uint64_t i = block.x_begin; i < x_end; ++i) {
      float values[kBlockRows];
      for (uint64_t row = 0; row < block.rows; ++row)
        values[row] = sums[row * kSumsStride + i - block.x_begin];
      write_row<decltype(tag)>(y, i, first_row, values, block.rows);
    }
  });
}

// As many as the tile has room for: reading few bytes of each of many rows waits for memory.
template <typename Element>
inline constexpr uint64_t kTileColumns = kStrip * sizeof(float) / sizeof(Element);

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
