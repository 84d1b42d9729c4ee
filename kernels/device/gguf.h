// GGUF's block types on a device. The rules of kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/numbers.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

enum class GgufType { q8_0, q4_0, q4_k };

struct GgufTensor {
  GgufType type;
  uint32_t rows, columns;  // columns: a multiple of the type's block
  const uint8_t* blocks;   // as in the file
};

// Encodes matrix[rows][columns] to blocks as in a file, kernels/cpu/gguf's bits without an
// importance matrix.
const char* quantize_gguf(GgufType type, WeightType matrix_type, const void* matrix, uint32_t rows,
                          uint32_t columns, uint8_t* blocks, void* stream);

// out[rows][columns]: kernels/cpu's float32, rounded to out_type.
const char* dequantize_gguf(const GgufTensor& weight, WeightType out_type, void* out, void* stream);

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit.
const char* linear_gguf(const GgufTensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
