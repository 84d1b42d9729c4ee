// Encoding to torchao's Int8Tensor, IntxUnpackedToInt8Tensor and Int4Tensor, bit for bit as
// kernels/cpu/torchao. One warp for each block of neighbours; bound by memory, which a block is
// read from once, and once from cache.
#pragma once

#include "kernels/cpu/torchao/torchao.h"
#include "kernels/device/quantize_groups.h"

namespace precis::kernels::PRECIS_DEVICE {

struct TorchaoEncoding {
  uint32_t rows, block, per_row;  // blocks of a row
  AoMapping mapping;
  float low, high;  // codes
  float smallest;   // scale
  bool rounded;     // each step to the dtype of the weight, as for scales of that dtype
};

PRECIS_FUNCTION float within(float value, float low, float high) {
  const float above = value > low ? value : low;
  return above < high ? above : high;
}

struct TorchaoScale {
  float scale, zero;
};

// kernels/cpu/torchao's ao_parameters.
PRECIS_FUNCTION TorchaoScale torchao_scale(const TorchaoEncoding& encoding, Rounding type,
                                           ValueRange range) {
  const float steps = encoding.high - encoding.low;
  float scale, zero = 0;
  if (encoding.mapping == AoMapping::asymmetric) {
    scale = round_to(type, round_to(type, range.high - range.low) / steps);
  } else if (encoding.mapping == AoMapping::symmetric_no_clipping_error) {
    const float below = round_to(type, range.low / encoding.low);
    const float above = round_to(type, range.high / encoding.high);
    scale = below > above ? below : above;
  } else {
    const bool negative = -range.low > range.high || range.low != range.low;
    scale = round_to(type, (negative ? -range.low : range.high) / (steps / 2));
  }
  scale = scale < encoding.smallest ? encoding.smallest : scale;
  if (encoding.mapping == AoMapping::asymmetric) {
    zero = encoding.low - nearest_even(round_to(type, range.low / scale));
    zero = zero == zero ? within(zero, encoding.low, encoding.high)
                        : within(0, encoding.low, encoding.high);
  }
  return {scale, zero};
}

template <class Element, class Scale>
__global__ void __launch_bounds__(kGroupThreads)
    quantize_torchao_int8_kernel(PRECIS_PARAMETER TorchaoEncoding encoding, const Element* weight,
                                 int8_t* codes, Scale* scales, int8_t* zero_points) {
  constexpr Rounding kType = kRoundingTo<Element>;
  const uint32_t index = blockIdx.x * kGroupWarps + static_cast<uint32_t>(warp());
  if (index >= encoding.rows * encoding.per_row) return;
  const Element* values = weight + uint64_t{index} * encoding.block;
  const TorchaoScale found = torchao_scale(
      encoding, kType,
      warp_range_or_nan({0, 0}, encoding.block, [=](uint32_t i) { return to_float(values[i]); }));
  if (lane() == 0) {
    scales[index] = from_float<Scale>(found.scale);
    zero_points[index] = static_cast<int8_t>(static_cast<int>(found.zero));
  }
  const float exact = 1.0f / found.scale;
  const float inverse = encoding.rounded ? round_to(kType, exact) : exact;
  for (uint32_t i = static_cast<uint32_t>(lane()); i < encoding.block; i += kWarp) {
    const float product = to_float(values[i]) * inverse;
    const float code = nearest_even(within(encoding.rounded ? round_to(kType, product) : product,
                                           encoding.low - found.zero, encoding.high - found.zero)) +
                       found.zero;
    codes[uint64_t{index} * encoding.block + i] = static_cast<int8_t>(static_cast<int>(code));
  }
}

// scales, zeros: [blocks of a row][rows].
template <class Element>
__global__ void __launch_bounds__(kGroupThreads)
    quantize_torchao_int4_kernel(PRECIS_PARAMETER TorchaoEncoding encoding, const Element* weight,
                                 uint8_t* codes, Element* scales, Element* zeros) {
  const uint32_t index = blockIdx.x * kGroupWarps + static_cast<uint32_t>(warp());
  if (index >= encoding.rows * encoding.per_row) return;
  const Element* values = weight + uint64_t{index} * encoding.block;
  const float first = to_float(values[0]);
  const ValueRange range = warp_range_or_nan({first, first}, encoding.block,
                                             [=](uint32_t i) { return to_float(values[i]); });
  const float extent = range.high - range.low;
  const float scale = (extent < 1e-6f ? 1e-6f : extent) / 15.0f;
  if (lane() == 0) {
    const uint64_t at =
        uint64_t{index % encoding.per_row} * encoding.rows + index / encoding.per_row;
    scales[at] = from_float<Element>(scale);
    zeros[at] = from_float<Element>(range.low + 8.0f * scale);
  }
  const auto code = [=](uint32_t i) {
    const float steps = (to_float(values[i]) - range.low) / scale;
    return static_cast<uint32_t>(static_cast<int>(nearest_even(within(steps, 0.0f, 15.0f))) - 8) &
           15u;
  };
  for (uint32_t i = static_cast<uint32_t>(lane()); i < encoding.block / 2; i += kWarp)
    codes[uint64_t{index} * (encoding.block / 2) + i] =
        static_cast<uint8_t>(code(2 * i) | code(2 * i + 1) << 4);
}

// A bfloat16 weight and what tinygemm's tiles pad it to with zeros.
struct TorchaoTiles {
  uint32_t rows, columns, block, padded_rows, padded_columns;
  const BFloat16* weight;

  PRECIS_FUNCTION float at(uint32_t row, uint32_t column) const {
    return row < rows && column < columns ? to_float(weight[uint64_t{row} * columns + column])
                                          : 0.0f;
  }
  // [blocks of a row][padded rows][2]: a scale and the value of code 8.
  PRECIS_FUNCTION uint64_t scale_at(uint32_t row, uint32_t column) const {
    return (uint64_t{column / block} * padded_rows + row) * 2;
  }
};
PRECIS_FUNCTION float as_bfloat16(float value) {
  return round_to(Rounding::bfloat16, value);
}

// Element: bfloat16, the only dtype that tinygemm takes.
template <class Element>
__global__ void __launch_bounds__(kGroupThreads)
    torchao_tile_scales_kernel(PRECIS_PARAMETER TorchaoTiles tiles, Element* scales) {
  const uint32_t index = blockIdx.x * kGroupWarps + static_cast<uint32_t>(warp());
  const uint32_t per_row = tiles.padded_columns / tiles.block;
  if (index >= tiles.padded_rows * per_row) return;
  const uint32_t row = index / per_row, column = index % per_row * tiles.block;
  const float first = tiles.at(row, column);
  const ValueRange range = warp_range_or_nan({first, first}, tiles.block,
                                             [&](uint32_t i) { return tiles.at(row, column + i); });
  if (lane() != 0) return;
  float scale = as_bfloat16(as_bfloat16(range.high - range.low) / 15.0f);
  scale = scale < 0x1p-126f ? 0x1p-126f : scale;
  const uint64_t at = tiles.scale_at(row, column);
  scales[at] = from_float<Element>(scale);
  scales[at + 1] = from_float<Element>(range.low + as_bfloat16(8.0f * scale));
}

// One thread for each word of eight codes: word i of lane l of a tile of 8 x 128 holds columns
// 32 i + 2 (l % 4) + {0, 8, 16, 24, 1, 9, 17, 25} of row l / 4.
template <class Element>
__global__ void __launch_bounds__(kGroupThreads)
    torchao_tile_codes_kernel(PRECIS_PARAMETER TorchaoTiles tiles, const Element* scales,
                              uint32_t* words) {
  const uint32_t word = blockIdx.x * kGroupThreads + threadIdx.x;
  if (word >= tiles.padded_rows * (tiles.padded_columns / 8)) return;
  const uint32_t tile = word / 128, of_lane = word / 4 % 32, across = tiles.padded_columns / 128;
  const uint32_t row = tile / across * 8 + of_lane / 4;
  const uint32_t first = tile % across * 128 + word % 4 * 32 + of_lane % 4 * 2;
  uint32_t codes = 0;
  PRECIS_UNROLL
  for (uint32_t i = 0; i < 8; ++i) {
    const uint32_t column = first + i % 4 * 8 + i / 4;
    const uint64_t at = tiles.scale_at(row, column);
    const float scale = to_float(scales[at]), zero = to_float(scales[at + 1]);
    const float lowest = as_bfloat16(zero - as_bfloat16(8.0f * scale));
    const float steps = as_bfloat16(as_bfloat16(tiles.at(row, column) - lowest) / scale);
    codes |= static_cast<uint32_t>(static_cast<int>(nearest_even(within(steps, 0.0f, 15.0f))))
             << (4 * i);
  }
  words[word] = codes;
}

inline dim3 torchao_grid(const TorchaoEncoding& encoding) {
  return dim3((encoding.rows * encoding.per_row + kGroupWarps - 1) / kGroupWarps);
}

}  // namespace precis::kernels::PRECIS_DEVICE
