// What encoders of integers share that give each row a block of threads.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kQuantizeRowThreads = 256;

// To the nearest integer, ties to even, for |value| < 2^22.
PRECIS_FUNCTION float round_to_even(float value) {
  return (value + 12582912.0f) - 12582912.0f;
}

// The largest magnitude's bits over the block's threads, known to all of them.
PRECIS_FUNCTION uint32_t row_max(uint32_t best) {
  using OfWarps = uint32_t[kQuantizeRowThreads / kWarp];
  PRECIS_SHARED(OfWarps, warp_best);
  best = warp_max(best);
  if (lane() == 0) warp_best[warp()] = best;
  __syncthreads();
  PRECIS_UNROLL
  for (unsigned i = 0; i < kQuantizeRowThreads / kWarp; ++i)
    best = warp_best[i] > best ? warp_best[i] : best;
  return best;
}

}  // namespace precis::kernels::PRECIS_DEVICE
