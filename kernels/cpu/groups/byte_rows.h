// Rows of codes of one byte with one scale a row: a code's number is multiplied as it is, which
// bfloat16 holds exactly, and the scale multiplies the sum (LinearWeight::row_scales).
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

// offset_int8: code - 128.
enum class ByteNumber { int8, offset_int8, float8_e4m3fn, float8_e5m2 };

// A weight as LinearWeight::format.
struct ByteRows {
  ByteNumber type;
  WeightType out_type;   // float32 or bfloat16, as the arithmetic says
  const uint8_t* codes;  // [rows][columns]
  uint64_t columns;
};

struct ByteRowsKernels {
  // LinearWeight::decode_floats over ByteRows.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
  RowDot (*row_dot)(const ByteRows& weight);
};

const ByteRowsKernels& byte_rows_kernels(Isa isa);

}  // namespace precis::kernels
