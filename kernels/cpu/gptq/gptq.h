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

// Scales and zero points that were found elsewhere, [rows][groups]; the scales are float16 numbers.
struct GptqGrid {
  const float* scales = nullptr;
  const int32_t* zeros = nullptr;
  const int32_t* group_of = nullptr;  // of each column; null: column / group_size
};

// A stored weight as LinearWeight::format, its groups read beforehand: [rows][groups].
struct GptqProduct {
  GptqFormat format;
  GptqShape shape;
  const uint32_t* qweight;
  const float* scales;
  const int32_t* zeros;
  WeightType scale_type;    // what products are rounded to
  const int32_t* group_of;  // or null
  WeightType out_type;
};

struct GptqKernels {
  // Round to nearest with each group's minimum and maximum; `symmetric` has the zero point in the
  // middle. row_begin and row_end are multiples of 32. scales: float16.
  void (*quantize)(WeightType type, const void* weight, GptqFormat format, bool symmetric,
                   GptqShape shape, uint64_t row_begin, uint64_t row_end, uint32_t* qweight,
                   uint32_t* qzeros, uint16_t* scales);
  // Round to nearest on a given grid.
  void (*quantize_on)(WeightType type, const void* weight, GptqFormat format, GptqGrid grid,
                      GptqShape shape, uint64_t row_begin, uint64_t row_end, uint32_t* qweight,
                      uint32_t* qzeros, uint16_t* scales);
  // Scales and zero points of all groups, [rows][groups].
  void (*read_groups)(GptqFormat format, GptqShape shape, const uint32_t* qzeros,
                      WeightType scale_type, const void* scales, float* scale_of, int32_t* zero_of);
  // Decodes rows to out[0 ...), each product rounded to the scales' dtype. group_of: the group of
  // each column, all in range; null: column / group_size.
  void (*dequantize)(GptqFormat format, GptqShape shape, const uint32_t* qweight,
                     const uint32_t* qzeros, WeightType scale_type, const void* scales,
                     const int32_t* group_of, uint64_t row_begin, uint64_t row_end,
                     WeightType out_type, void* out);
  // Codes of at most 4 bits, or of 8, of rows [row_begin, row_end), multiples of 32, as
  // kernels/cpu/groups has them.
  void (*pack_rows)(GptqFormat format, GptqShape shape, const uint32_t* qweight, uint64_t row_begin,
                    uint64_t row_end, uint8_t* codes);
  // LinearWeight::decode_floats; `format` is a GptqProduct. A word holds columns of one row and
  // stands beside those of other rows: what one row brings into the cache, the next ones use.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
};

const GptqKernels& gptq_kernels(Isa isa);

}  // namespace precis::kernels
