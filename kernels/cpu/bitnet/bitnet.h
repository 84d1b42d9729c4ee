// BitNet's ternary weights, four rows to a byte (transformers 5, integrations/bitnet.py).
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

struct BitNetWeight {
  // [packed_rows][columns]: row r in the bits from r / packed_rows * 2 on of row r % packed_rows.
  const uint8_t* codes;
  uint64_t packed_rows, columns;
  float values[4];  // of a code
};

// All functions are re-entrant; callers split the work.
struct BitNetKernels {
  // Rows [row_begin, row_end) to out[0 ...).
  void (*dequantize)(const BitNetWeight& weight, uint64_t row_begin, uint64_t row_end,
                     WeightType out_type, void* out);
  // LinearWeight::decode_floats over a BitNetWeight, to float32.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
  // sums[row] = the magnitudes of the row's finite numbers, added one after another. `columns`
  // numbers a row.
  void (*sum_rows)(WeightType type, const void* weight, uint64_t columns, uint64_t row_begin,
                   uint64_t row_end, double* sums);
  // Packed rows [begin, end) of a weight [4 * packed_rows][columns]: number * scale to the nearest
  // of -1, 0 and 1, ties to even, as 0, 1 and 2; NaN as 1.
  void (*encode)(WeightType type, const void* weight, uint64_t packed_rows, uint64_t columns,
                 float scale, uint64_t begin, uint64_t end, uint8_t* codes);
};

const BitNetKernels& bitnet_kernels(Isa isa);

}  // namespace precis::kernels
