// Weights that devices decode and do not multiply: SpQR's and MXFP4's experts. The rules of
// kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/numbers.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// out[experts][columns][rows] of MXFP4 blocks[experts][rows][columns / 2] and exponents
// scales[experts][rows][columns / 32], each value rounded to bfloat16.
const char* dequantize_experts(const uint8_t* blocks, const uint8_t* scales, uint32_t experts,
                               uint32_t rows, uint32_t columns, WeightType out_type, void* out,
                               void* stream);

// SpQR: of each row of a tile of 16 x 16, from bit 0 up, 3 bits each: the scale, the zero point, 16
// weights; from bit 54 a byte of the tile's numbers.
struct SpqrTensor {
  uint32_t rows, columns;
  const uint64_t* dense;  // [rows / 16][ceil(columns / 16)][16]
  // Outliers from starts[i] up to starts[i + 1] are of row i, or of 16 rows in turn.
  const int32_t* starts;
  bool in_turn;
  const uint32_t* outliers;  // the column in the lower half, a float16 in the upper
  const uint32_t* places;    // the stored place of each column; null: they are in order
};

// out[rows][columns]; every value is one of float16.
const char* dequantize_spqr(const SpqrTensor& weight, WeightType out_type, void* out, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
