// AQLM's additive codebooks on a device. The rules of kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/aqlm/aqlm.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// Null for a weight that has kernels: its codewords have a multiple of 8 columns.
const char* check_aqlm(const AqlmShape& shape);

// out[rows][columns] of out_type: kernels/cpu/aqlm's dequantize.
const char* dequantize_aqlm(const AqlmWeight& weight, WeightType out_type, void* out, void* stream);

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit.
const char* linear_aqlm(const AqlmWeight& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
