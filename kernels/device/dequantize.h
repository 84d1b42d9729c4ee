// Decoding a whole weight: one run a thread. Bound by memory: 0.5 to 2 bytes read and 2 or 4
// written for each weight.
#pragma once

#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kDequantizeThreads = 256;

// out[rows][columns]. Grid: x over the runs of a row, y over rows (and strides over what is left).
template <class Format, class Out>
__global__ void __launch_bounds__(kDequantizeThreads)
    dequantize_kernel(PRECIS_PARAMETER typename Format::Weight weight, Out* out) {
  PRECIS_SHARED(typename Format::Table, table);
  Format::fill(table, weight);
  __syncthreads();
  const uint32_t column = (blockIdx.x * kDequantizeThreads + threadIdx.x) * kRun;
  if (column >= weight.columns) return;
  const uint32_t left = weight.columns - column;
  const bool aligned = left >= kRun && (weight.columns % kRun == 0 || weight.rows == 1);
  for (uint32_t row = blockIdx.y; row < weight.rows; row += gridDim.y) {
    Out* to = out + uint64_t{row} * weight.columns + column;
    float values[kRun];
    if (aligned) {
      decode<Format, Out>(weight, table, Format::load(weight, row, column), values);
      store_8(to, values);
    } else {
      const uint32_t count = left < kRun ? left : kRun;
      decode<Format, Out>(weight, table, Format::load_part(weight, row, column, count), values);
      for (uint32_t i = 0; i < count; ++i) to[i] = from_float<Out>(values[i]);
    }
  }
}

// Launches it; `out` is aligned to 16 bytes. Null, or what went wrong.
template <class Format, class Out>
const char* launch_dequantize(const typename Format::Weight& weight, Out* out, void* stream) {
  if (weight.rows == 0 || weight.columns == 0) return nullptr;
  const uint32_t runs = (weight.columns + kRun - 1) / kRun;
  const dim3 grid((runs + kDequantizeThreads - 1) / kDequantizeThreads,
                  weight.rows < 65535 ? weight.rows : 65535);
  return PRECIS_LAUNCH((dequantize_kernel<Format, Out>), grid, dim3(kDequantizeThreads), 0, stream,
                       weight, out);
}

}  // namespace precis::kernels::PRECIS_DEVICE
