// Activations as codes of 8 bits with a scale a row, every step in the dtype of x: one block of
// threads for each row. Bound by memory: a row is read once from it and once from cache.
#pragma once

#include "kernels/device/round_activations.h"

namespace precis::kernels::PRECIS_DEVICE {

// x, codes: [gridDim.x][columns]. The numbers of round_activations_kernel are code times scale,
// rounded to Element.
template <class Element>
__global__ void __launch_bounds__(kQuantizeRowThreads)
    encode_activations_kernel(const Element* x, uint32_t columns,
                              PRECIS_PARAMETER RoundedActivationRule rule, int8_t* codes,
                              float* scales) {
  const Element* row = x + uint64_t{blockIdx.x} * columns;
  int8_t* out = codes + uint64_t{blockIdx.x} * columns;
  uint32_t best = 0;
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    const uint32_t bits = bits_as<uint32_t>(to_float(row[i])) & 0x7fffffffu;
    best = bits > best ? bits : best;
  }
  best = row_max(best);
  const bool finite = best < 0x7f800000u;
  const float largest = bits_as<float>(best);
  const float scale = rounding_of_group<Element>(rule, {largest, largest}).scale;
  if (threadIdx.x == 0) scales[blockIdx.x] = finite ? scale : bits_as<float>(0x7fc00000u);
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    const float quotient = rounded<Element>(to_float(row[i]) / scale);
    const float code = round_to_even(clamped(quotient, rule.low, rule.high));
    out[i] = static_cast<int8_t>(finite ? static_cast<int>(code) : 0);
  }
}

template <class Element>
const char* launch_encode_activations(const Element* x, uint32_t m, uint32_t columns,
                                      const RoundedActivationRule& rule, int8_t* codes,
                                      float* scales, void* stream) {
  if (m == 0 || columns == 0) return nullptr;
  return PRECIS_LAUNCH((encode_activations_kernel<Element>), dim3(m), dim3(kQuantizeRowThreads), 0,
                       stream, x, columns, rule, codes, scales);
}

}  // namespace precis::kernels::PRECIS_DEVICE
