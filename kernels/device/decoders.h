// Weights that devices decode and do not multiply: EETQ's, BitNet's, SpQR's and MXFP4's experts;
// and the encoders of the first two. The rules of kernels/device/bitsandbytes.h hold.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/numbers.h"

#if !defined(PRECIS_DEVICE)
#error "include kernels/device/runtime.h, or define PRECIS_DEVICE as the back end to declare"
#endif

namespace precis::kernels::PRECIS_DEVICE {

// out[rows][columns] of kernels/cpu/eetq's codes and float16 scales; both sides are multiples
// of 64.
const char* dequantize_eetq(const uint8_t* codes, const uint16_t* scales, uint32_t rows,
                            uint32_t columns, WeightType out_type, void* out, void* stream);

// kernels/cpu/eetq's quantize of matrix[rows][columns].
const char* quantize_eetq(WeightType type, const void* matrix, uint32_t rows, uint32_t columns,
                          uint8_t* codes, uint16_t* scales, void* stream);

// out[rows][columns] of codes[rows / 4][columns]: bits 2 k and 2 k + 1 are of the rows of quarter k
// of the weight and stand for -step, 0, step and 2 step.
const char* dequantize_ternary(const uint8_t* codes, float step, uint32_t rows, uint32_t columns,
                               WeightType out_type, void* out, void* stream);

// The codes of matrix[rows][columns] for that, and its scale in the matrix' dtype: what numbers are
// multiplied by, or, where stores_step, what 1 stands for. sums: [rows], overwritten.
const char* quantize_ternary(WeightType type, const void* matrix, uint32_t rows, uint32_t columns,
                             bool stores_step, double* sums, uint8_t* codes, void* scale,
                             void* stream);

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
