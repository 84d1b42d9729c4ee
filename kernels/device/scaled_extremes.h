// The extremes of tiles, and of a whole weight, which scales are found from.
#pragma once

#include "kernels/device/scaled_rules.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kScaledThreads = 256;
inline constexpr unsigned kScaledPartials = 1024;

// Bits of the largest positive and of the largest negative magnitude; those of a NaN lie above
// infinity's.
struct Extremes {
  uint32_t above, below;

  PRECIS_FUNCTION void add(float value) {
    const uint32_t bits = bits_as<uint32_t>(value), magnitude = bits & 0x7fffffffu;
    join({bits == magnitude ? magnitude : 0, bits == magnitude ? 0 : magnitude});
  }
  PRECIS_FUNCTION void join(const Extremes& other) {
    above = other.above > above ? other.above : above;
    below = other.below > below ? other.below : below;
  }
  PRECIS_FUNCTION ValueRange range() const {
    const float none = bits_as<float>(0x7fc00000u);
    if (above > 0x7f800000u || below > 0x7f800000u) return {none, none};
    return {-bits_as<float>(below), bits_as<float>(above)};
  }
};

// Of teams of `lanes` neighbouring lanes, known to each.
PRECIS_FUNCTION Extremes team_extremes(Extremes mine, uint32_t lanes) {
  for (int step = static_cast<int>(lanes) / 2; step > 0; step /= 2)
    mine.join({shuffle_xor(mine.above, step), shuffle_xor(mine.below, step)});
  return mine;
}
// Of a block of threads.
PRECIS_FUNCTION Extremes block_extremes(Extremes mine) {
  using OfWarps = Extremes[kScaledThreads / kWarp];
  PRECIS_SHARED(OfWarps, of_warps);
  mine = team_extremes(mine, kWarp);
  if (lane() == 0) of_warps[warp()] = mine;
  __syncthreads();
  PRECIS_UNROLL
  for (unsigned i = 0; i < kScaledThreads / kWarp; ++i) mine.join(of_warps[i]);
  return mine;
}

template <class Element>
__global__ void __launch_bounds__(kScaledThreads)
    scaled_extremes_kernel(const Element* weight, uint64_t count, Extremes* partials) {
  Extremes mine{0, 0};
  for (uint64_t i = uint64_t{blockIdx.x} * kScaledThreads + threadIdx.x; i < count;
       i += uint64_t{gridDim.x} * kScaledThreads)
    mine.add(to_float(weight[i]));
  mine = block_extremes(mine);
  if (threadIdx.x == 0) partials[blockIdx.x] = mine;
}

// One block: the partials' extremes, in the first of them, and the scale of the whole weight.
template <class Element>
__global__ void __launch_bounds__(kScaledThreads)
    scaled_whole_kernel(PRECIS_PARAMETER ScaledKernelEncoding encoding, uint32_t count,
                        Extremes* partials, float* whole_scale) {
  Extremes mine{0, 0};
  for (uint32_t i = threadIdx.x; i < count; i += kScaledThreads) mine.join(partials[i]);
  mine = block_extremes(mine);
  if (threadIdx.x != 0) return;
  partials[0] = mine;
  *whole_scale = scale_of_whole<Element>(encoding, absmax_of(mine.range()));
}

// Of the elements begin, begin + step ... of a tile.
template <class Element>
PRECIS_FUNCTION Extremes tile_extremes(const ScaledKernelEncoding& e, const Element* weight,
                                       uint32_t tile, uint32_t begin, uint32_t step) {
  const uint32_t side = e.tile_rows.shift == 31 ? e.rows : e.tile_rows.size;
  const uint32_t width = e.tile_columns.shift == 31 ? e.columns : e.tile_columns.size;
  const uint32_t row = tile / e.tiles_per_row * side, column = tile % e.tiles_per_row * width;
  const uint32_t rows = e.rows - row < side ? e.rows - row : side;
  const uint32_t columns = e.columns - column < width ? e.columns - column : width;
  const Element* first = weight + uint64_t{row} * e.columns + column;
  Extremes mine{0, 0};
  if (rows == 1) {
    for (uint32_t i = begin; i < columns; i += step) mine.add(to_float(first[i]));
    return mine;
  }
  for (uint32_t i = begin; i < rows * width; i += step) {
    const uint32_t down = tile_at(e.tile_columns, i), right = i - down * width;
    if (right < columns) mine.add(to_float(first[uint64_t{down} * e.columns + right]));
  }
  return mine;
}

}  // namespace precis::kernels::PRECIS_DEVICE
