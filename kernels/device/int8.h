// Products of integers of 8 bits with one scale a row on both sides, as torchao's
// Int8DynamicActivationInt8Weight multiplies them. The rules of kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/activations/activations.h"
#include "kernels/cpu/common/numbers.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// kernels/cpu/activations' rule torchao_integer, symmetric and of whole rows: codes[m][columns] and
// scales[m]. A row of x with an infinity or a NaN has NaN for its scale.
const char* quantize_int8_activations(WeightType type, const void* x, uint32_t m, uint32_t columns,
                                      const ActivationRounding& rounding, int8_t* codes,
                                      float* scales, void* stream);

struct Int8Rows {
  uint32_t rows, columns;
  const int8_t* codes;  // [rows][columns]
  const float* scales;  // [rows]
};

// y = x W^T + bias with x from quantize_int8_activations: exact integer sums, times the product of
// both scales; the bits of kernels/cpu/linear. columns is a multiple of 16.
const char* linear_int8_rows(const Int8Rows& weight, const int8_t* x, const float* x_scales,
                             WeightType activation, const void* bias, void* y, uint32_t m,
                             void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
