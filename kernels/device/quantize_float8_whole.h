// Encoding to float8 with one scale for the whole weight, in two passes over it.
#pragma once

#include "kernels/device/quantize_float8.h"

namespace precis::kernels::PRECIS_DEVICE {

// partials[blocks]: bits of the largest magnitudes of pieces of the weight.
template <class Element>
__global__ void __launch_bounds__(kFloat8Threads)
    float8_partial_absmax_kernel(const Element* weight, uint64_t count, uint32_t* partials) {
  using OfWarps = uint32_t[kFloat8Threads / kWarp];
  PRECIS_SHARED(OfWarps, of_warps);
  uint32_t best = 0;
  for (uint64_t i = uint64_t{blockIdx.x} * kFloat8Threads + threadIdx.x; i < count;
       i += uint64_t{gridDim.x} * kFloat8Threads) {
    const uint32_t bits = bits_as<uint32_t>(to_float(weight[i])) & 0x7fffffffu;
    best = bits > best ? bits : best;
  }
  best = block_max(best, of_warps);
  if (threadIdx.x == 0) partials[blockIdx.x] = best;
}

// The second pass over a weight with one scale: the grid is that of the first.
template <class Element>
__global__ void __launch_bounds__(kFloat8Threads)
    quantize_float8_whole_kernel(PRECIS_PARAMETER Float8Encoding encoding, const Element* weight,
                                 uint64_t count, const uint32_t* partials, uint8_t* codes,
                                 void* scale) {
  using OfWarps = uint32_t[kFloat8Threads / kWarp];
  PRECIS_SHARED(OfWarps, of_warps);
  uint32_t best = 0;
  for (uint32_t i = threadIdx.x; i < gridDim.x; i += kFloat8Threads)
    best = partials[i] > best ? partials[i] : best;
  best = block_max(best, of_warps);
  const Float8TileScale made = float8_tile_scale<Element, false>(encoding, bits_as<float>(best));
  const uint64_t first = uint64_t{blockIdx.x} * kFloat8Threads + threadIdx.x;
  if (first == 0) store_tile_scale<float>(encoding, scale, 0, made.scale);
  for (uint64_t i = first; i < count; i += uint64_t{gridDim.x} * kFloat8Threads)
    codes[i] = float8_encode<Element, false>(encoding, to_float(weight[i]), made.operand);
}

inline constexpr unsigned kFloat8Partials = 1024;

// partials: kFloat8Partials words.
template <class Element>
const char* launch_quantize_float8_whole(const Float8Encoding& encoding, const Element* weight,
                                         uint8_t* codes, void* scale, uint32_t* partials,
                                         void* stream) {
  const uint64_t count = uint64_t{encoding.rows} * encoding.columns;
  const uint64_t pieces = (count + kFloat8Threads * 8 - 1) / (kFloat8Threads * 8);
  const dim3 grid(static_cast<unsigned>(pieces < kFloat8Partials ? pieces : kFloat8Partials));
  const dim3 block(kFloat8Threads);
  if (const char* error = PRECIS_LAUNCH((float8_partial_absmax_kernel<Element>), grid, block, 0,
                                        stream, weight, count, partials))
    return error;
  return PRECIS_LAUNCH((quantize_float8_whole_kernel<Element>), grid, block, 0, stream, encoding,
                       weight, count, static_cast<const uint32_t*>(partials), codes, scale);
}

}  // namespace precis::kernels::PRECIS_DEVICE
