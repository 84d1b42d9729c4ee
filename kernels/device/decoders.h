// Weights that devices decode and do not multiply: EETQ's, BitNet's and MXFP4's experts. The rules
// of kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/numbers.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// out[rows][columns] of kernels/cpu/eetq's codes and float16 scales; both sides are multiples
// of 64.
const char* dequantize_eetq(const uint8_t* codes, const uint16_t* scales, uint32_t rows,
                            uint32_t columns, WeightType out_type, void* out, void* stream);

// out[rows][columns] of codes[rows / 4][columns]: bits 2 k and 2 k + 1 are of the rows of quarter k
// of the weight and stand for -step, 0, step and 2 step.
const char* dequantize_ternary(const uint8_t* codes, float step, uint32_t rows, uint32_t columns,
                               WeightType out_type, void* out, void* stream);

// out[experts][columns][rows] of MXFP4 blocks[experts][rows][columns / 2] and exponents
// scales[experts][rows][columns / 32], each value rounded to bfloat16.
const char* dequantize_experts(const uint8_t* blocks, const uint8_t* scales, uint32_t experts,
                               uint32_t rows, uint32_t columns, WeightType out_type, void* out,
                               void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
