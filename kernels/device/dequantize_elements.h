// Decoding of weights whose elements are taken one by one: what a run of eight would share differs,
// or each has a sum of its own.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

// Four blocks on a multiprocessor: without the number ptxas tries for eight and spills.
inline constexpr unsigned kElementThreads = 256, kElementBlocks = 4;

// out[rows][columns] of Source::value<Out>(weight, row, column). Grid: x over the columns, y over
// the rows (and strides over what is left).
template <class Source, class Out>
__global__ void __launch_bounds__(kElementThreads, kElementBlocks)
    dequantize_elements_kernel(PRECIS_PARAMETER typename Source::Weight weight, Out* out) {
  const uint32_t column = blockIdx.x * kElementThreads + threadIdx.x;
  if (column >= weight.columns) return;
  for (uint32_t row = blockIdx.y; row < weight.rows; row += gridDim.y)
    out[uint64_t{row} * weight.columns + column] =
        from_float<Out>(Source::template value<Out>(weight, row, column));
}

template <class Source, class Out>
const char* launch_dequantize_elements(const typename Source::Weight& weight, Out* out,
                                       void* stream) {
  if (weight.rows == 0 || weight.columns == 0) return nullptr;
  const dim3 grid((weight.columns + kElementThreads - 1) / kElementThreads,
                  weight.rows < 65535 ? weight.rows : 65535);
  return PRECIS_LAUNCH((dequantize_elements_kernel<Source, Out>), grid, dim3(kElementThreads), 0,
                       stream, weight, out);
}

}  // namespace precis::kernels::PRECIS_DEVICE
