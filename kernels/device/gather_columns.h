// Activations in the order of a weight's groups. Bound by memory, or, where rows come from cache,
// by its requests: neighbouring threads read numbers of one row that lie anywhere in it.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kGatherThreads = 256;

// Eight neighbours of out[m][columns] a thread; columns is a multiple of 8.
static __global__ void __launch_bounds__(kGatherThreads)
    gather_columns_kernel(const uint16_t* x, uint32_t m, uint32_t columns, const uint32_t* order,
                          uint16_t* out) {
  const uint64_t i = uint64_t{blockIdx.x} * kGatherThreads + threadIdx.x;
  const uint32_t runs = columns / 8, row = static_cast<uint32_t>(i / runs),
                 column = static_cast<uint32_t>(i % runs) * 8;
  if (row >= m) return;
  const uint16_t* from = x + uint64_t{row} * columns;
  uint32_t words[4];
  PRECIS_UNROLL
  for (uint32_t half = 0; half < 2; ++half) {
    const auto places = load_vector<Words4>(order + column + 4 * half);
    PRECIS_UNROLL
    for (uint32_t j = 0; j < 2; ++j)
      words[2 * half + j] = static_cast<uint32_t>(from[places.words[2 * j]]) |
                            static_cast<uint32_t>(from[places.words[2 * j + 1]]) << 16;
  }
  store_vector(out + uint64_t{row} * columns + column,
               Words4{{words[0], words[1], words[2], words[3]}});
}

inline const char* launch_gather_columns(const uint16_t* x, uint32_t m, uint32_t columns,
                                         const uint32_t* order, uint16_t* out, void* stream) {
  const uint64_t threads = uint64_t{m} * (columns / 8);
  return PRECIS_LAUNCH(gather_columns_kernel,
                       dim3(static_cast<unsigned>((threads + kGatherThreads - 1) / kGatherThreads)),
                       dim3(kGatherThreads), 0, stream, x, m, columns, order, out);
}

}  // namespace precis::kernels::PRECIS_DEVICE
