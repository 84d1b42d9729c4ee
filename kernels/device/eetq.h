// EETQ's int8 weights in the order of its kernels: decoded, encoded, multiplied. The rules of
// kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/numbers.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// kernels/cpu/eetq's codes and float16 scales; both sides are multiples of 64.
struct EetqTensor {
  uint32_t rows, columns;
  const uint8_t* codes;    // [rows][columns], interleaved
  const uint16_t* scales;  // [rows]
};

// out[rows][columns].
const char* dequantize_eetq(const EetqTensor& weight, WeightType out_type, void* out, void* stream);

// kernels/cpu/eetq's quantize of matrix[rows][columns].
const char* quantize_eetq(WeightType type, const void* matrix, uint32_t rows, uint32_t columns,
                          uint8_t* codes, uint16_t* scales, void* stream);

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit. Codes are read where they are.
const char* linear_eetq(const EetqTensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
