// Encoding to narrow numbers with a scale, and perhaps a zero point, for each tile, bit for bit as
// kernels/cpu/scaled: first the scales, then the codes by them. Bound by memory, from which a
// weight is read twice, and three times where a scale of the whole weight comes first.
#pragma once

#include "kernels/device/scaled_extremes.h"

namespace precis::kernels::PRECIS_DEVICE {

template <class Element>
PRECIS_FUNCTION void store_tile(const ScaledKernelEncoding& encoding, ValueRange range, float whole,
                                uint32_t tile, void* scales, int8_t* zeros) {
  const float absmax = absmax_of(range);
  if (stores_bytes(encoding.rule)) {
    static_cast<uint8_t*>(scales)[tile] =
        static_cast<uint8_t>(scale_byte<Element>(encoding, absmax, whole));
    return;
  }
  if (encoding.rule == ScaleRule::float32) {
    const float scale = absmax / encoding.largest;
    static_cast<float*>(scales)[tile] = scale == 0 ? 1.0f : scale;
    return;
  }
  const TileScale made = own_scale<Element>(encoding, range);
  if (encoding.float_scales)
    static_cast<float*>(scales)[tile] = made.scale;
  else
    static_cast<Element*>(scales)[tile] = from_float<Element>(made.scale);
  if (zeros != nullptr) zeros[tile] = static_cast<int8_t>(static_cast<int>(made.zero));
}

// A block of threads, or a team of `lanes`, for each tile. extremes: those of the only tile, or
// null.
template <class Element, bool BlockTiles>
__global__ void __launch_bounds__(kScaledThreads)
    scale_tiles_kernel(PRECIS_PARAMETER ScaledKernelEncoding encoding, const Element* weight,
                       uint32_t tiles, uint32_t lanes, const Extremes* extremes,
                       const float* whole_scale, void* scales, int8_t* zeros) {
  const uint64_t thread = uint64_t{blockIdx.x} * kScaledThreads + threadIdx.x;
  const uint64_t found = BlockTiles ? blockIdx.x : thread / lanes;
  // Lanes beyond the last tile take part in the shuffles with the last's data.
  const auto tile = static_cast<uint32_t>(found < tiles ? found : tiles - 1);
  const uint32_t begin = BlockTiles ? threadIdx.x : threadIdx.x % lanes;
  Extremes mine{0, 0};
  if (extremes == nullptr)
    mine = tile_extremes(encoding, weight, tile, begin, BlockTiles ? kScaledThreads : lanes);
  mine = BlockTiles ? block_extremes(mine) : team_extremes(mine, lanes);
  if (begin != 0 || found >= tiles) return;
  if (extremes != nullptr) mine = *extremes;
  store_tile<Element>(encoding, mine.range(), whole_scale == nullptr ? 1.0f : *whole_scale, tile,
                      scales, zeros);
}

// Zero points of `bits` bits along the rows of tiles: word [tile row * bits / 32][tile].
template <class Word>
__global__ void __launch_bounds__(kScaledThreads)
    pack_zeros_kernel(const int8_t* zeros, uint32_t tile_rows, uint32_t tiles_per_row,
                      uint32_t bits, Word* words) {
  const uint32_t i = blockIdx.x * kScaledThreads + threadIdx.x;
  const uint32_t word = i / tiles_per_row, tile = i % tiles_per_row;
  if (uint64_t{word} * 32 >= uint64_t{tile_rows} * bits) return;
  uint32_t packed = 0;
  for (uint32_t row = word * 32 / bits; row < tile_rows && row * bits < (word + 1) * 32; ++row) {
    const int code = zeros[uint64_t{row} * tiles_per_row + tile] + (1 << (bits - 1));
    const int place = static_cast<int>(row * bits) - static_cast<int>(word * 32);
    packed |=
        place >= 0 ? static_cast<uint32_t>(code) << place : static_cast<uint32_t>(code) >> -place;
  }
  words[uint64_t{word} * tiles_per_row + tile] = packed;
}

// Scales are those of the tiles, zeros null where there are no zero points.
template <class Element>
PRECIS_FUNCTION uint32_t quotient_code(const ScaledKernelEncoding& encoding, float value,
                                       TileScale tile, bool shifted) {
  constexpr Rounding kType = kRoundingTo<Element>;
  const bool rounded = encoding.quotient == Quotient::rounded;
  float moved =
      encoding.quotient == Quotient::reciprocal ? value * (1.0f / tile.scale) : value / tile.scale;
  if (rounded) moved = round_to(kType, moved);
  if (shifted) moved = rounded ? round_to(kType, moved + tile.zero) : moved + tile.zero;
  return narrow_code_of(encoding, moved);
}

// Eight neighbours of a row, as a little-endian stream of codes of `stride` bits.
template <class Element>
PRECIS_FUNCTION uint64_t encode_eight(const ScaledKernelEncoding& e, const Element* weight,
                                      uint32_t row, uint32_t column, uint32_t stride,
                                      const void* scales, const int8_t* zeros, float whole) {
  const Element* from = weight + uint64_t{row} * e.columns + column;
  float values[8];
  if (e.columns % 8 == 0) {
    load_8(from, values);
  } else {
    PRECIS_UNROLL
    for (uint32_t i = 0; i < 8; ++i) values[i] = column + i < e.columns ? to_float(from[i]) : 0.0f;
  }
  const uint64_t first = uint64_t{tile_at(e.tile_rows, row)} * e.tiles_per_row;
  uint32_t current = e.tiles_per_row;
  TileScale tile{1, 0};
  uint64_t codes = 0;
  PRECIS_UNROLL
  for (uint32_t i = 0; i < 8; ++i) {
    if (column + i >= e.columns) break;
    const uint32_t of = tile_at(e.tile_columns, column + i);
    if (of != current) {
      current = of;
      tile.scale = stored_divisor<Element>(e, scales, first + of, whole);
      if (zeros != nullptr) tile.zero = zeros[first + of];
    }
    codes |= uint64_t{quotient_code<Element>(e, values[i], tile, zeros != nullptr)} << (i * stride);
  }
  return codes;
}

// One thread for eight columns of a row, or of the two rows that share bytes.
template <class Element>
__global__ void __launch_bounds__(kScaledThreads)
    encode_scaled_kernel(PRECIS_PARAMETER ScaledKernelEncoding encoding, const Element* weight,
                         uint32_t runs, uint32_t runs_of_row, const void* scales,
                         const int8_t* zeros, const float* whole_scale, uint8_t* codes) {
  const uint32_t run = blockIdx.x * kScaledThreads + threadIdx.x;
  if (run >= runs) return;
  const uint32_t row = run / runs_of_row, begin = run % runs_of_row;
  const float whole = whole_scale == nullptr ? 1.0f : *whole_scale;
  const bool pairs = encoding.type == NarrowType::int4_row_pairs;
  const uint32_t stride = pairs ? 8 : encoding.code_bits;
  uint64_t bits = encode_eight(encoding, weight, pairs ? 2 * row : row, 8 * begin, stride, scales,
                               zeros, whole);
  if (pairs && 2 * row + 1 < encoding.rows)
    bits |= encode_eight(encoding, weight, 2 * row + 1, 8 * begin, stride, scales, zeros, whole)
            << 4;
  uint8_t* to = codes + uint64_t{row} * encoding.row_bytes + uint64_t{begin} * stride;
  const uint64_t left = encoding.row_bytes - uint64_t{begin} * stride;
  if (stride == 8 && encoding.row_bytes % 8 == 0) {
    store_vector(to, Words2{{static_cast<uint32_t>(bits), static_cast<uint32_t>(bits >> 32)}});
  } else if (stride == 4 && encoding.row_bytes % 4 == 0) {
    *reinterpret_cast<uint32_t*>(to) = static_cast<uint32_t>(bits);
  } else {
    for (uint32_t i = 0; i < stride && i < left; ++i) to[i] = static_cast<uint8_t>(bits >> (8 * i));
  }
}

}  // namespace precis::kernels::PRECIS_DEVICE
