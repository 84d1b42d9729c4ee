// Encoding rows to int8 as LLM.int8() does, for weights and for activations: one block of threads
// for each row. Bound by memory: a row is read once from it and once from cache.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kQuantizeRowThreads = 256;

// To the nearest integer, ties to even, for |value| < 2^22.
PRECIS_FUNCTION float round_to_even(float value) {
  return (value + 12582912.0f) - 12582912.0f;
}

// codes[rows][columns], absmax[rows]. Elements are rounded to float16 first, as the library does.
template <class Element>
__global__ void __launch_bounds__(kQuantizeRowThreads)
    quantize_int8_rows_kernel(const Element* matrix, uint32_t columns, int8_t* codes,
                              float* absmax) {
  using OfWarps = uint32_t[kQuantizeRowThreads / kWarp];
  PRECIS_SHARED(OfWarps, warp_best);
  const Element* row = matrix + uint64_t{blockIdx.x} * columns;
  int8_t* out = codes + uint64_t{blockIdx.x} * columns;
  const auto load = [row](uint32_t i) { return round_to(Rounding::half, to_float(row[i])); };
  uint32_t best = 0;
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    const uint32_t bits = bits_as<uint32_t>(load(i)) & 0x7fffffffu;
    best = bits > best ? bits : best;
  }
  best = warp_max(best);
  if (lane() == 0) warp_best[warp()] = best;
  __syncthreads();
  PRECIS_UNROLL
  for (unsigned i = 0; i < kQuantizeRowThreads / kWarp; ++i)
    best = warp_best[i] > best ? warp_best[i] : best;
  const float largest = bits_as<float>(best);
  if (threadIdx.x == 0) absmax[blockIdx.x] = largest;
  // torch computes 127 / absmax as the reciprocal times 127: two roundings.
  const float factor = (1.0f / largest) * 127.0f;
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    const float scaled = load(i) * factor;
    // A row of zeros or with an infinity gives NaN, which the library stores as 0.
    out[i] = static_cast<int8_t>(scaled == scaled ? static_cast<int>(round_to_even(scaled)) : 0);
  }
}

template <class Element>
const char* launch_quantize_int8_rows(const Element* matrix, uint32_t rows, uint32_t columns,
                                      int8_t* codes, float* absmax, void* stream) {
  if (rows == 0 || columns == 0) return nullptr;
  return PRECIS_LAUNCH((quantize_int8_rows_kernel<Element>), dim3(rows), dim3(kQuantizeRowThreads),
                       0, stream, matrix, columns, codes, absmax);
}

}  // namespace precis::kernels::PRECIS_DEVICE
