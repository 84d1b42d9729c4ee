// Decoding of scaled numbers one by one, whatever tiles their neighbours have.
#pragma once

#include "kernels/device/formats/narrow_numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kElementThreads = 256;

// out[rows][columns]. Grid: x over the columns, y over the rows (and strides over what is left).
template <class Out>
__global__ void __launch_bounds__(kElementThreads)
    dequantize_scaled_kernel(PRECIS_PARAMETER ScaledKernelWeight weight, Out* out) {
  const uint32_t column = blockIdx.x * kElementThreads + threadIdx.x;
  if (column >= weight.columns) return;
  const uint32_t tile = weight.tile_of == nullptr ? tile_at(weight.tile_columns, column)
                                                  : static_cast<uint32_t>(weight.tile_of[column]);
  for (uint32_t row = blockIdx.y; row < weight.rows; row += gridDim.y) {
    const uint32_t tile_row = tile_at(weight.tile_rows, row);
    const float number = narrow_number(weight.type, weight.bits, narrow_code(weight, row, column));
    const float scale = scale_of_tile(weight, uint64_t{tile_row} * weight.tiles_per_row + tile);
    out[uint64_t{row} * weight.columns + column] = from_float<Out>(
        round_to(weight.rounding, (number - zero_of_tile(weight, tile_row, tile)) * scale));
  }
}

template <class Out>
const char* launch_dequantize_scaled(const ScaledKernelWeight& weight, Out* out, void* stream) {
  if (weight.rows == 0 || weight.columns == 0) return nullptr;
  const dim3 grid((weight.columns + kElementThreads - 1) / kElementThreads,
                  weight.rows < 65535 ? weight.rows : 65535);
  return PRECIS_LAUNCH((dequantize_scaled_kernel<Out>), grid, dim3(kElementThreads), 0, stream,
                       weight, out);
}

}  // namespace precis::kernels::PRECIS_DEVICE
