// GPTQ's stored form: codes of 2 to 8 bits with a scale and a zero point for each group of columns.
//
// As GPTQModel 7.7 packs it (nn_modules/qlinear, utils/model.py, utils/planar_packing.py). Of a
// weight [rows][columns], rows and columns multiples of 32:
//   qweight  uint32 [columns * bits / 32][rows]   packed along the columns
//   qzeros   uint32 [groups][rows * bits / 32]    packed along the rows
//   scales   [groups][rows]
// All functions are re-entrant; callers split the work by rows.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

struct GptqFormat {
  int bits = 4;
  // Words hold planes of 4, 2 and 1 bits ("gptq_p") in place of one little-endian bit stream.
  bool planar = false;
  // Zero points are stored less one ("gptq"); not so in "gptq_v2" and "gptq_p".
  bool zero_less_one = true;
};

struct GptqShape {
  uint64_t rows, columns, group_size;
  uint64_t groups() const { return (columns + group_size - 1) / group_size; }
};

struct GptqKernels {
  // Round to nearest with each group's minimum and maximum; `symmetric` has the zero point in the
  // middle. row_begin and row_end are multiples of 32. scales: float16.
  void (*quantize)(WeightType type, const void* weight, GptqFormat format, bool symmetric,
                   GptqShape shape, uint64_t row_begin, uint64_t row_end, uint32_t* qweight,
                   uint32_t* qzeros, uint16_t* scales);
  // Decodes rows to out[0 ...), each product rounded to the scales' dtype. group_of: the group of
  // each column, all in range; null: column / group_size.
  void (*dequantize)(GptqFormat format, GptqShape shape, const uint32_t* qweight,
                     const uint32_t* qzeros, WeightType scale_type, const void* scales,
                     const int32_t* group_of, uint64_t row_begin, uint64_t row_end,
                     WeightType out_type, void* out);
};

const GptqKernels& gptq_kernels(Isa isa);

}  // namespace precis::kernels
