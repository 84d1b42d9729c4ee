// EETQ's int8 weights: one scale a row, codes in the order that CUTLASS' mixed products read them
// on sm75 to sm89 (EETQ 1.0.1, csrc/cutlass_kernels/cutlass_preprocessors.cc).
//
// Of a weight [rows][columns], both multiples of 64: the code of (row, column), plus 128, stands at
//   (row / 2) * 2 * columns + 128 * (w / 64) + 64 * (row % 2) + (w % 64 with bits 0 and 1
//   exchanged)
// where w is the column with its last four bits permuted.
// All functions are re-entrant; callers split the work by rows.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

// A weight as LinearWeight::format.
struct EetqProduct {
  const uint8_t* codes;
  const uint16_t* scales;
  uint64_t columns;
  WeightType out_type;  // float32 or bfloat16, as the arithmetic says
};

struct EetqKernels {
  // The weight is rounded to float16 first. scales: float16, largest magnitude of the row / 128; a
  // row of zeros has codes of 127 and a scale of 0.
  void (*quantize)(WeightType type, const void* weight, uint64_t columns, uint64_t row_begin,
                   uint64_t row_end, uint8_t* codes, uint16_t* scales);
  // Decodes rows to out[0 ...): code times scale, rounded to float16.
  void (*dequantize)(const uint8_t* codes, const uint16_t* scales, uint64_t columns,
                     uint64_t row_begin, uint64_t row_end, WeightType out_type, void* out);
  // LinearWeight::decode_floats over an EetqProduct: the values of dequantize.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
  RowDot (*row_dot)(const EetqProduct& weight);
};

const EetqKernels& eetq_kernels(Isa isa);

}  // namespace precis::kernels
