// BitNet's ternary weights, four rows to a byte: decoded, encoded, multiplied. The rules of
// kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/numbers.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// codes[rows / 4][columns]: bits 2 k and 2 k + 1 are of the rows of quarter k of the weight and
// stand for -step, 0, step and 2 step. rows is a multiple of 4.
struct TernaryTensor {
  uint32_t rows, columns;
  const uint8_t* codes;
  float step;
};

// out[rows][columns].
const char* dequantize_ternary(const TernaryTensor& weight, WeightType out_type, void* out,
                               void* stream);

// The codes of matrix[rows][columns] for that, and its scale in the matrix' dtype: what numbers are
// multiplied by, or, where stores_step, what 1 stands for. sums: [rows], overwritten.
const char* quantize_ternary(WeightType type, const void* matrix, uint32_t rows, uint32_t columns,
                             bool stores_step, double* sums, uint8_t* codes, void* scale,
                             void* stream);

// y = x W^T + bias as linear_4bit, with x rounded to 8 bits a row by kernels/cpu/activations' rule
// bitnet: exact integer sums, times the step and the row's scale. A row of x with an infinity or a
// NaN is NaN in y. columns is a multiple of 8; workspace: ternary_workspace bytes, aligned to 16.
uint64_t ternary_workspace(uint64_t m, uint64_t columns);
const char* linear_ternary(const TernaryTensor& weight, WeightType activation, const void* x,
                           const void* bias, void* y, uint32_t m, void* workspace, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
