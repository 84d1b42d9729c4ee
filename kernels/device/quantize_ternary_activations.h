// Activations as BitNet's integers of 8 bits: one block of threads for each row. Bound by memory: a
// row is read once from it and once from cache.
#pragma once

#include "kernels/device/round_activations.h"

namespace precis::kernels::PRECIS_DEVICE {

// codes[gridDim.x][stride], of which those beyond `columns` are zero, and scales[gridDim.x].
// 127 / largest and what it multiplies are of the dtype of x. In float16 the former is infinite for
// a row of tiny numbers, which counts as one of zeros.
template <class Element>
__global__ void __launch_bounds__(kQuantizeRowThreads)
    quantize_ternary_activations_kernel(const Element* x, uint32_t columns, uint32_t stride,
                                        int8_t* codes, float* scales) {
  const Element* row = x + uint64_t{blockIdx.x} * columns;
  int8_t* out = codes + uint64_t{blockIdx.x} * stride;
  uint32_t best = 0;
  for (uint32_t i = threadIdx.x; i < columns; i += kQuantizeRowThreads) {
    const uint32_t bits = bits_as<uint32_t>(to_float(row[i])) & 0x7fffffffu;
    best = bits > best ? bits : best;
  }
  const float found = bits_as<float>(row_max(best)), least = rounded<Element>(1e-5f);
  const bool finite = found < bits_as<float>(0x7f800000u);
  const float factor = rounded<Element>(127.0f / (found > least ? found : least));
  if (threadIdx.x == 0) scales[blockIdx.x] = finite ? 1.0f / factor : bits_as<float>(0x7fc00000u);
  for (uint32_t i = threadIdx.x; i < stride; i += kQuantizeRowThreads) {
    const float product = finite && i < columns ? rounded<Element>(to_float(row[i]) * factor) : 0;
    const float code = product == product ? clamped(product, -128.0f, 127.0f) : 0.0f;
    out[i] = static_cast<int8_t>(static_cast<int>(round_to_even(code)));
  }
}

template <class Element>
const char* launch_quantize_ternary_activations(const Element* x, uint32_t rows, uint32_t columns,
                                                uint32_t stride, int8_t* codes, float* scales,
                                                void* stream) {
  return PRECIS_LAUNCH((quantize_ternary_activations_kernel<Element>), dim3(rows),
                       dim3(kQuantizeRowThreads), 0, stream, x, columns, stride, codes, scales);
}

}  // namespace precis::kernels::PRECIS_DEVICE
