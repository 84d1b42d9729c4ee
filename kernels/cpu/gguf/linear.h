// Products with GGUF's block types: what kernels/cpu/linear needs to read them.
//
// The types of 2 to 8 bits whose values are integers times a scale (q4_0 to q8_0, the K types, IQ4,
// MXFP4 and TQ2_0) are multiplied as integers of 8 bits, with the activations quantized in blocks
// of 32, as ggml does it; here the activations' scale is float32, and blocks are of 32 for the K
// types too, where ggml takes 256. All others are decoded, but for few rows of x times the
// codebook types.
#pragma once

#include <span>
#include <string_view>

#include "kernels/cpu/gguf/gguf.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

// A type as integers: decode_codes takes a GgufWeight; see LinearWeight.
struct GgufIntegerType {
  std::string_view name;
  uint32_t block;
  int32_t offset;
  bool minimums;
  void (*decode_codes)(const void* format, uint64_t row, uint64_t begin, uint64_t end,
                       uint8_t* codes, float* scales, float* minimums);
};

struct GgufWeight {
  const GgufCodec* codec;
  const uint8_t* blocks;
  uint64_t row_bytes;
  WeightType out_type;                  // float32 or bfloat16; of decode_floats
  GgufDecodeBfloat16* decode_bfloat16;  // gguf_decode_bfloat16(codec)
};

// Over a GgufWeight of one type.
struct GgufRowDot {
  std::string_view name;
  RowDot dot;
};

struct GgufLinearKernels {
  // LinearWeight::decode_floats for every type; `format` is a GgufWeight.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
  std::span<const GgufIntegerType> integer_types;
  std::span<const GgufRowDot> row_dots[3];   // of the types that have one
  std::span<const GgufRowDot> code_dots[2];  // the same with RowDot::takes_codes
};

const GgufLinearKernels& gguf_linear_kernels(Isa isa);

inline namespace PRECIS_ISA {
std::span<const GgufRowDot> gguf_row_dots();
std::span<const GgufRowDot> gguf_code_dots();
std::span<const GgufRowDot> gguf_lattice_code_dots();
std::span<const GgufRowDot> gguf_lattice_row_dots();
std::span<const GgufRowDot> gguf_other_row_dots();
}  // namespace PRECIS_ISA

}  // namespace precis::kernels
