// Activations as torchao's symmetric integers of 8 bits: one block of threads for each row. Bound
// by memory: a row is read once from it and once from cache.
#pragma once

#include "kernels/device/row_threads.h"

namespace precis::kernels::PRECIS_DEVICE {

struct Int8Activations {
  float divisor;    // of the largest magnitude
  float low, high;  // codes
};

// The scale is of the dtype of x, at least 2^-23; codes come by way of its reciprocal in float32.
template <class Element>
__global__ void __launch_bounds__(kQuantizeRowThreads)
    quantize_int8_activations_kernel(const Element* x, uint32_t columns, Int8Activations rule,
                                     int8_t* codes, float* scales) {
  const Element* row = x + uint64_t{blockIdx.x} * columns;
  int8_t* out = codes + uint64_t{blockIdx.x} * columns;
  uint32_t best = 0;
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    const uint32_t bits = bits_as<uint32_t>(to_float(row[i])) & 0x7fffffffu;
    best = bits > best ? bits : best;
  }
  const float largest = bits_as<float>(row_max(best));
  const float wanted = to_float(from_float<Element>(largest / rule.divisor));
  const float least = to_float(from_float<Element>(0x1p-23f));
  const float scale = wanted > least ? wanted : least;
  const bool finite = largest < bits_as<float>(0x7f800000u);
  if (threadIdx.x == 0) scales[blockIdx.x] = finite ? scale : bits_as<float>(0x7fc00000u);
  const float inverse = 1.0f / scale;
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    float code = to_float(row[i]) * inverse;
    code = code > rule.low ? code : rule.low;
    code = code < rule.high ? code : rule.high;
    out[i] = static_cast<int8_t>(finite ? static_cast<int>(round_to_even(code)) : 0);
  }
}

template <class Element>
const char* launch_quantize_int8_activations(const Element* x, uint32_t rows, uint32_t columns,
                                             const Int8Activations& rule, int8_t* codes,
                                             float* scales, void* stream) {
  if (rows == 0 || columns == 0) return nullptr;
  return PRECIS_LAUNCH((quantize_int8_activations_kernel<Element>), dim3(rows),
                       dim3(kQuantizeRowThreads), 0, stream, x, columns, rule, codes, scales);
}

}  // namespace precis::kernels::PRECIS_DEVICE
