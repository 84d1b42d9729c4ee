// GGUF's block types on a device. The rules of kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/cpu/common/numbers.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

enum class GgufType : uint32_t {
  f16,
  bf16,
  q8_0,
  q4_0,
  q4_k,
  // Blocks with one scale.
  q4_1,
  q5_0,
  q5_1,
  iq4_nl,
  mxfp4,
  nvfp4,
  q1_0,
  q2_0,
  tq1_0,
  tq2_0,
  // Blocks of 256 with scales for groups.
  q2_k,
  q3_k,
  q5_k,
  q6_k,
  iq4_xs,
  // Points of lattices.
  iq1_s,
  iq1_m,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq3_xxs,
  iq3_s,
};

struct GgufTypeShape {
  GgufType type;
  std::string_view name;  // of kernels/cpu/gguf's codec
  uint32_t block_elements, block_bytes;
  bool encodes;  // quantize_gguf knows it
  bool shifted;  // values are level * scale + shift
};
uint32_t gguf_type_count();
const GgufTypeShape& gguf_type_at(uint32_t index);
inline bool encodes(GgufType type) {
  return gguf_type_at(static_cast<uint32_t>(type)).encodes;
}
// Null for an unknown name.
const GgufTypeShape* find_gguf_type(std::string_view name);

struct GgufTensor {
  GgufType type;
  uint32_t rows, columns;  // columns: a multiple of the type's block
  const uint8_t* blocks;   // as in the file
};

// For types that are encoded: matrix[rows][columns] to blocks as in a file, kernels/cpu/gguf's bits
// without an importance matrix.
const char* quantize_gguf(GgufType type, WeightType matrix_type, const void* matrix, uint32_t rows,
                          uint32_t columns, uint8_t* blocks, void* stream);

// out[rows][columns]: kernels/cpu's float32, rounded to out_type.
const char* dequantize_gguf(const GgufTensor& weight, WeightType out_type, void* out, void* stream);

// y[m][rows] = x[m][columns] W^T + bias, as linear_4bit.
const char* linear_gguf(const GgufTensor& weight, WeightType activation, const void* x,
                        const void* bias, void* y, uint32_t m, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
