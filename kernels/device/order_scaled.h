// Narrow numbers of scattered tiles, brought into the order of the tiles. Bound by the requests for
// single codes; done once, when a weight is prepared.
#pragma once

#include "kernels/device/formats/scaled_numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kOrderThreads = 256;

// codes[rows][columns] of 4 or 8 bits each: the code of column order[i] at i. A thread has eight
// neighbours of every gridDim.y-th row; columns is a multiple of 8.
template <NarrowCodes Codes>
__global__ void __launch_bounds__(kOrderThreads)
    order_scaled_kernel(PRECIS_PARAMETER ScaledKernelWeight weight, const uint32_t* order,
                        unsigned char* codes) {
  constexpr uint32_t kBits = Codes == NarrowCodes::nibbles ? 4 : 8, kWords = kRun * kBits / 32;
  const uint32_t column = (blockIdx.x * kOrderThreads + threadIdx.x) * kRun;
  if (column >= weight.columns) return;
  const Words4 from[] = {load_vector<Words4>(order + column),
                         load_vector<Words4>(order + column + 4)};
  for (uint32_t row = blockIdx.y; row < weight.rows; row += gridDim.y) {
    uint32_t words[kWords] = {};
    PRECIS_UNROLL
    for (uint32_t i = 0; i < kRun; ++i)
      words[i * kBits / 32] |= narrow_code(weight, row, from[i / 4].words[i % 4])
                               << (i * kBits % 32);
    unsigned char* to = codes + (uint64_t{row} * weight.columns + column) * kBits / 8;
    if constexpr (kWords == 1)
      store_vector(to, words[0]);
    else
      store_vector(to, Words2{{words[0], words[1]}});
  }
}

template <NarrowCodes Codes>
const char* launch_order_scaled(const ScaledKernelWeight& weight, const uint32_t* order,
                                unsigned char* codes, void* stream) {
  const uint32_t runs = weight.columns / kRun;
  const dim3 grid((runs + kOrderThreads - 1) / kOrderThreads,
                  weight.rows < 65535 ? weight.rows : 65535);
  return PRECIS_LAUNCH((order_scaled_kernel<Codes>), grid, dim3(kOrderThreads), 0, stream, weight,
                       order, codes);
}

}  // namespace precis::kernels::PRECIS_DEVICE
