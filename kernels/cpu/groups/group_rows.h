// Rows of codes of at most 4 bits, or of 8, with a scale and a zero point for groups of neighbours,
// laid out for products: GPTQ and AWQ store columns of many rows beside each other, so that a row
// lies scattered over the whole matrix.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

// A weight as LinearWeight::format. value = (code - zero) * scale, or code * scale + zero; rounded
// to scale_type.
struct GroupRows {
  // [rows][columns / 2], even columns in the lower half of a byte, or [rows][columns]
  const uint8_t* codes;
  uint64_t columns, group_size;
  const float *scales, *zeros;  // [rows][groups]
  bool adds_zero = false;
  WeightType scale_type, out_type;
  bool bytes = false;  // a byte a code
  uint64_t groups() const { return (columns + group_size - 1) / group_size; }
};

struct GroupRowsKernels {
  // LinearWeight::decode_floats over GroupRows, to float32 or bfloat16. Bound by writing what is
  // decoded: a group of codes of 4 bits has 16 values, which lanes look up.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
  RowDot (*row_dot)(const GroupRows& weight);
};

const GroupRowsKernels& group_rows_kernels(Isa isa);

}  // namespace precis::kernels
