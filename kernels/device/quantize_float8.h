// Encoding to float8, or quanto's int8, with one scale for each tile, bit for bit as
// kernels/cpu/fp8 and kernels/cpu/quanto. Bound by memory: a tile is read once from it and once
// from cache.
#pragma once

#include "kernels/device/float8_numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

// How scale and codes follow from a tile's largest magnitude.
enum class Float8Rule : uint32_t {
  tiles,       // transformers': the factor is the reciprocal times 448; a tile of zeros has scale 1
  tiles_e8m0,  // the same with the power of two that is not below the scale, as its exponent
  rows,        // FBGEMM's: divided by the scale, which is at least `smallest`
  activations,  // 1/448 of the largest, of what counts up to `bound`, rounded to the dtype of x
  // The same with quotients rounded too, and `smallest` in place of a scale of zero.
  compressed_activations,
  torchao,      // 1/largest, rounded to the weight's dtype; quotients without a value are 0xff
  quanto,       // optimum-quanto's: each step rounded to the weight's dtype; NaN becomes 0xff
  quanto_int8,  // the same for integers; NaN becomes 0
};

struct Float8Encoding {
  Float8Rule rule;
  Float8Encoder encoder;
  float largest;  // finite number of the format
  uint32_t rows, columns, tile_rows, tile_columns, tiles_per_row;
  uint32_t column_shift;  // of tile_columns, where a tile has several rows
  float smallest, bound;  // of scales, and of magnitudes; 0: none
};

inline constexpr unsigned kFloat8Threads = 256;

PRECIS_FUNCTION float clamp_between(float value, float low, float high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}

template <class Element>
inline constexpr Rounding kRoundingOf = std::is_same_v<Element, Half>       ? Rounding::half
                                        : std::is_same_v<Element, BFloat16> ? Rounding::bfloat16
                                                                            : Rounding::none;

// The power of two that is not below `scale`, NaN beyond 2^127.
PRECIS_FUNCTION float power_of_two_above(float scale) {
  const uint32_t rounded = exponent_not_below(scale < 0x1p-126f ? 0x1p-126f : scale);
  return bits_as<float>(rounded >= 255 ? 0x7fc00000u : rounded << 23);
}

// A tile's scale, and what its elements are multiplied (`tiles`) or divided by.
struct Float8TileScale {
  float scale, operand;
};
// Quanto: the rule is one of optimum-quanto's.
template <class Element, bool Quanto>
PRECIS_FUNCTION Float8TileScale float8_tile_scale(const Float8Encoding& encoding, float absmax) {
  if constexpr (Quanto) {
    const float scale = round_to(kRoundingOf<Element>, absmax / encoding.largest);
    return {scale, scale};
  } else {
    if (encoding.rule == Float8Rule::tiles || encoding.rule == Float8Rule::tiles_e8m0) {
      const float factor = absmax > 0 ? 1.0f / absmax * encoding.largest : 1.0f;
      if (encoding.rule == Float8Rule::tiles) return {1.0f / factor, factor};
      const float scale = power_of_two_above(1.0f / factor);
      return {scale, 1.0f / scale};
    }
    float wanted = absmax / encoding.largest;
    if (encoding.rule == Float8Rule::torchao) {
      wanted = round_to(kRoundingOf<Element>, wanted);
      return {wanted, wanted};
    }
    const bool compressed = encoding.rule == Float8Rule::compressed_activations;
    if (encoding.rule == Float8Rule::activations || compressed) {
      const float counted = encoding.bound > 0 && absmax > encoding.bound ? encoding.bound : absmax;
      wanted = round_to(kRoundingOf<Element>, counted / encoding.largest);
      if (!(absmax < bits_as<float>(0x7f800000u))) wanted = bits_as<float>(0x7fc00000u);
    }
    if (compressed) {
      const float scale = wanted == 0 ? encoding.smallest : wanted;
      return {scale, scale};
    }
    const float scale = wanted < encoding.smallest ? encoding.smallest : wanted;
    return {scale, scale == 0 ? 1.0f : scale};
  }
}

template <class Element, bool Quanto>
PRECIS_FUNCTION uint8_t float8_encode(const Float8Encoding& encoding, float value, float operand) {
  float scaled;
  if constexpr (Quanto) {
    scaled = round_to(kRoundingOf<Element>, value / operand);
    if (encoding.rule == Float8Rule::quanto_int8) {
      const float bounded = clamp_between(scaled, -1e6f, 1e6f);
      const float code = clamp_between((bounded + 12582912.0f) - 12582912.0f, -128.0f, 127.0f);
      return static_cast<uint8_t>(static_cast<int>(scaled == scaled ? code : 0.0f));
    }
    if (!(scaled == scaled)) return 0xff;
  } else {
    const bool multiplies =
        encoding.rule == Float8Rule::tiles || encoding.rule == Float8Rule::tiles_e8m0;
    scaled = multiplies ? value * operand : value / operand;
    if (encoding.rule == Float8Rule::compressed_activations)
      scaled = round_to(kRoundingOf<Element>, scaled);
    // As x86 has the sign of 0 / 0.
    if (encoding.rule == Float8Rule::torchao && scaled != scaled && value == value) return 0xff;
  }
  return float8_code(encoding.encoder, clamp_between(scaled, -encoding.largest, encoding.largest));
}

// Rows and columns of a tile, and the elements of it that a team of threads takes in turn.
struct Float8TileRange {
  uint32_t row, column, rows, columns;
  template <class Body>
  PRECIS_FUNCTION void for_each(const Float8Encoding& encoding, uint32_t begin, uint32_t step,
                                Body body) const {
    const uint64_t first = uint64_t{row} * encoding.columns + column;
    if (rows == 1) {
      for (uint32_t i = begin; i < columns; i += step) body(first + i);
      return;
    }
    const uint32_t shift = encoding.column_shift, mask = (1u << shift) - 1;
    for (uint32_t i = begin; i < rows << shift; i += step)
      if ((i & mask) < columns) body(first + uint64_t{i >> shift} * encoding.columns + (i & mask));
  }
};
PRECIS_FUNCTION Float8TileRange float8_tile(const Float8Encoding& encoding, uint32_t tile) {
  const uint32_t row = tile / encoding.tiles_per_row * encoding.tile_rows;
  const uint32_t column = tile % encoding.tiles_per_row * encoding.tile_columns;
  const uint32_t rows = encoding.rows - row, columns = encoding.columns - column;
  return {row, column, rows < encoding.tile_rows ? rows : encoding.tile_rows,
          columns < encoding.tile_columns ? columns : encoding.tile_columns};
}

// The largest magnitude's bits over the block's threads, known to all of them.
PRECIS_FUNCTION uint32_t block_max(uint32_t best, uint32_t (&of_warps)[kFloat8Threads / kWarp]) {
  best = warp_max(best);
  if (lane() == 0) of_warps[warp()] = best;
  __syncthreads();
  PRECIS_UNROLL
  for (unsigned i = 0; i < kFloat8Threads / kWarp; ++i)
    best = of_warps[i] > best ? of_warps[i] : best;
  return best;
}

template <class Scale>
PRECIS_FUNCTION void store_tile_scale(const Float8Encoding& encoding, void* scales, uint32_t tile,
                                      float scale) {
  if (encoding.rule == Float8Rule::tiles_e8m0)
    static_cast<uint8_t*>(scales)[tile] = static_cast<uint8_t>(bits_as<uint32_t>(scale) >> 23);
  else
    static_cast<Scale*>(scales)[tile] = from_float<Scale>(scale);
}

// One block of threads, or (WarpTiles) one warp, for each tile. Scales are float32 or exponents,
// quanto's of the weight's dtype. Four blocks on a multiprocessor: for more of them ptxas would
// spill.
template <class Element, bool Quanto, bool WarpTiles>
__global__ void __launch_bounds__(kFloat8Threads, 4)
    quantize_float8_kernel(PRECIS_PARAMETER Float8Encoding encoding, const Element* weight,
                           uint32_t tiles, uint8_t* codes, void* scales) {
  const uint32_t tile = WarpTiles
                            ? blockIdx.x * (kFloat8Threads / kWarp) + static_cast<uint32_t>(warp())
                            : blockIdx.x;
  if (WarpTiles && tile >= tiles) return;
  const uint32_t begin = WarpTiles ? static_cast<uint32_t>(lane()) : threadIdx.x;
  constexpr uint32_t kStep = WarpTiles ? kWarp : kFloat8Threads;
  const Float8TileRange range = float8_tile(encoding, tile);
  uint32_t best = 0;
  range.for_each(encoding, begin, kStep, [&](uint64_t i) {
    const uint32_t bits = bits_as<uint32_t>(to_float(weight[i])) & 0x7fffffffu;
    best = bits > best ? bits : best;
  });
  if constexpr (WarpTiles) {
    best = warp_max(best);
  } else {
    using OfWarps = uint32_t[kFloat8Threads / kWarp];
    PRECIS_SHARED(OfWarps, of_warps);
    best = block_max(best, of_warps);
  }
  const Float8TileScale made = float8_tile_scale<Element, Quanto>(encoding, bits_as<float>(best));
  using Scale = std::conditional_t<Quanto, Element, float>;
  if (begin == 0) store_tile_scale<Scale>(encoding, scales, tile, made.scale);
  range.for_each(encoding, begin, kStep, [&](uint64_t i) {
    codes[i] = float8_encode<Element, Quanto>(encoding, to_float(weight[i]), made.operand);
  });
}

template <class Element, bool Quanto>
const char* launch_quantize_float8(const Float8Encoding& encoding, const Element* weight,
                                   uint8_t* codes, void* scales, void* stream) {
  const dim3 block(kFloat8Threads);
  const uint32_t tiles =
      (encoding.rows + encoding.tile_rows - 1) / encoding.tile_rows * encoding.tiles_per_row;
  if (uint64_t{encoding.tile_rows} * encoding.tile_columns <= 512) {
    constexpr uint32_t kWarps = kFloat8Threads / kWarp;
    return PRECIS_LAUNCH((quantize_float8_kernel<Element, Quanto, true>),
                         dim3((tiles + kWarps - 1) / kWarps), block, 0, stream, encoding, weight,
                         tiles, codes, scales);
  }
  return PRECIS_LAUNCH((quantize_float8_kernel<Element, Quanto, false>), dim3(tiles), block, 0,
                       stream, encoding, weight, tiles, codes, scales);
}

}  // namespace precis::kernels::PRECIS_DEVICE
