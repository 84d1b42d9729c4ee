// LLM.int8() weights: one scale a row (bitsandbytes 0.50, nn/modules.py and
// backends/default/ops.py).
//
// "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale" (arXiv 2208.07339).
// Re-entrant; callers split the work by rows.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

struct Int8RowKernels {
  // Encodes rows [row_begin, row_end) of weight[rows][columns], which is rounded to float16 first.
  // codes: int8 [rows][columns]; scb: float32 [rows], the largest magnitude of each row.
  void (*quantize)(WeightType weight_type, const void* weight, uint64_t columns, uint64_t row_begin,
                   uint64_t row_end, int8_t* codes, float* scb);
  // Decodes rows [row_begin, row_end) to out[0 ...): code * scb / 127.
  void (*dequantize)(const int8_t* codes, const float* scb, uint64_t columns, uint64_t row_begin,
                     uint64_t row_end, WeightType out_type, void* out);
};

const Int8RowKernels& int8_row_kernels(Isa isa);

}  // namespace precis::kernels
