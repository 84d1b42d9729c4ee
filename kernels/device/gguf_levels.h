// The types of gguf.h that share kernels by families: those behind q4_k.
#pragma once

#include "kernels/device/gguf.h"

namespace precis::kernels::PRECIS_DEVICE {

const char* dequantize_gguf_levels(const GgufTensor& weight, const GgufTypeShape& shape,
                                   WeightType out_type, void* out, void* stream);
const char* linear_gguf_levels(const GgufTensor& weight, const GgufTypeShape& shape,
                               WeightType activation, const void* x, const void* bias, void* y,
                               uint32_t m, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
