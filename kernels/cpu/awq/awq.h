// AWQ's stored forms: 4-bit codes with a scale and a zero point for each group of columns.
//
// AutoAWQ 0.2.9, quantize/quantizer.py (pseudo_quantize_tensor) and modules/linear/{gemm,gemv,
// gemv_fast}.py. Of a weight [rows][columns], rows a multiple of 8:
//   gemm       qweight uint32 [columns][rows/8], nibble i is row 8c + (0 2 4 6 1 3 5 7)[i];
//              qzeros likewise [groups][rows/8]; scales [groups][rows]
//   gemv       qweight uint32 [rows][columns/8]; qzeros uint32 [rows][zero_width];
//              scales [rows][8 * zero_width]; nibbles in order, what is beyond the groups is 0
//   gemv_fast  qweight uint16 [rows/4][columns]: word [N][64K + 16r + 8h + 2b + c], nibble a, is
//              row 4N + r, column 64K + 32h + 8a + 2b + c; scales and zeros
//              [8 * zero_width][rows], zeros as -scale * zero point
// All functions are re-entrant; callers split the work by rows.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

enum class AwqLayout { gemm, gemv, gemv_fast };

struct AwqShape {
  uint64_t rows, columns, group_size;
  int sign = 0;  // 8: codes and zero points of gemm are read as two's complement
  uint64_t groups() const { return columns / group_size; }
  // Words of zero points a row in gemv, padded as its kernel reads them.
  uint64_t zero_width() const {
    const uint64_t together = group_size >= 128 ? 1 : group_size >= 64 ? 2 : 4;
    const uint64_t words = (groups() + 7) / 8;
    return (words + together - 1) / together * together;
  }
};

struct AwqKernels {
  // Round to nearest with each group's minimum and maximum, every step rounded to float16.
  // row_begin and row_end are multiples of 8. scales: float16.
  void (*quantize)(WeightType type, const void* weight, AwqLayout layout, AwqShape shape,
                   uint64_t row_begin, uint64_t row_end, void* qweight, void* qzeros,
                   uint16_t* scales);
  // The same on scales, which are float16 numbers, and zero points that were found elsewhere, both
  // [rows][groups].
  void (*quantize_on)(WeightType type, const void* weight, AwqLayout layout, AwqShape shape,
                      const float* given_scales, const int32_t* given_zeros, uint64_t row_begin,
                      uint64_t row_end, void* qweight, void* qzeros, uint16_t* scales);
  // Scales and zero points of all groups, [rows][groups]; gemv_fast's are the nearest codes to what
  // it stores.
  void (*read_groups)(AwqLayout layout, AwqShape shape, const void* qzeros, WeightType scale_type,
                      const void* scales, float* scale_of, int32_t* zero_of);
  // Decodes rows to out[0 ...): (code - zero) * scale, or code * scale + zero in gemv_fast, rounded
  // to the scales' dtype.
  void (*dequantize)(AwqLayout layout, AwqShape shape, const void* qweight, const void* qzeros,
                     WeightType scale_type, const void* scales, uint64_t row_begin,
                     uint64_t row_end, WeightType out_type, void* out);
  // The scales of all groups, and their zero points as codes or, in gemv_fast, as what is added.
  void (*read_affine)(AwqLayout layout, AwqShape shape, const void* qzeros, WeightType scale_type,
                      const void* scales, float* scale_of, float* zero_of);
  // Rows [row_begin, row_end) of gemm, whole eights, of codes[row - row_begin][columns], whose low
  // 4 bits count.
  void (*store_codes)(AwqShape shape, const uint8_t* codes, uint64_t row_begin, uint64_t row_end,
                      uint32_t* qweight);
  // Codes of rows [row_begin, row_end), whole eights, as kernels/cpu/groups has them.
  void (*pack_rows)(AwqLayout layout, AwqShape shape, const void* qweight, uint64_t row_begin,
                    uint64_t row_end, uint8_t* codes);
};

const AwqKernels& awq_kernels(Isa isa);

}  // namespace precis::kernels
