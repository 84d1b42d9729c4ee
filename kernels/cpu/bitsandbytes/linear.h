// Products with weights of bitsandbytes: what kernels/cpu/linear needs to read
// them.
#pragma once

#include "kernels/cpu/bitsandbytes/blockwise.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

// A weight of NF4 or FP4 codes in blocks. It decodes to what BlockwiseKernels
// decodes it to.
struct FourBitWeight {
  FourBitType type;
  WeightType weight_type;  // of the original weight
  WeightType out_type;     // float32 or bfloat16, as the arithmetic says
  const uint8_t* packed;
  uint64_t blocksize, columns;  // blocksize: at least 32
  const float* absmax;          // of every block; null: nested, decoded on the way
  const uint8_t* absmax_codes;
  const float *nested_absmax, *nested_codebook;
  uint64_t nested_blocksize;
  float nested_offset;
  const BlockwiseKernels* blockwise;
};

struct FourBitLinearKernels {
  // LinearWeight::decode_floats; `format` is a FourBitWeight.
  void (*decode)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
  // The codebook is rounded to bfloat16, the sum of a block is scaled: one
  // rounding a weight, as in the library, which rounds the scaled value.
  RowDot (*row_dot)(const FourBitWeight& weight);
};

const FourBitLinearKernels& four_bit_linear_kernels(Isa isa);

}  // namespace precis::kernels
