// optimum-quanto's weight formats (0.2.7: tensor/qbytes.py, tensor/qbits.py, tensor/grouped.py,
// tensor/packed.py). Every arithmetic step is rounded to the weight's own dtype, as torch does.
//
// All functions are re-entrant; callers split the work by rows.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

enum class QuantoByteType { int8, float8_e4m3fn, float8_e5m2 };

struct QuantoKernels {
  // Symmetric, one scale a row: qint8, qfloat8. codes: one byte an element, [rows][columns];
  // scales: the weight's dtype, [rows]. A row of zeros has scale 0 and codes NaN (float8) or 0
  // (int8), as in the library.
  void (*quantize_bytes)(QuantoByteType type, WeightType weight_type, const void* weight,
                         uint64_t columns, uint64_t row_begin, uint64_t row_end, uint8_t* codes,
                         void* scales);
  // Decodes rows to out[0 ...): the scale's dtype first, then out_type.
  void (*dequantize_bytes)(QuantoByteType type, WeightType scale_type, const uint8_t* codes,
                           const void* scales, bool scale_per_row, uint64_t columns,
                           uint64_t row_begin, uint64_t row_end, WeightType out_type, void* out);

  // Affine, one scale and shift a group of `group_size` neighbours in a row: qint4, qint2. Encodes
  // groups [group_begin, group_end) to one code an element (unpacked), scales and shifts in the
  // weight's dtype.
  void (*quantize_groups)(int bits, WeightType weight_type, const void* weight, uint64_t group_size,
                          uint64_t group_begin, uint64_t group_end, uint8_t* codes, void* scales,
                          void* shifts);
  // Decodes elements of groups [group_begin, group_end) to out[0 ...) from packed planes.
  void (*dequantize_groups)(int bits, WeightType scale_type, const uint8_t* packed, uint64_t groups,
                            const void* scales, const void* shifts, uint64_t group_size,
                            uint64_t group_begin, uint64_t group_end, WeightType out_type,
                            void* out);
};

const QuantoKernels& quanto_kernels(Isa isa);

// Packs codes[groups][group_size] of `bits` bits into bit planes: byte [r][c] holds, from the low
// bits up, the codes of groups r, r + R, r + 2R ... with R = ceil(groups * bits / 8). Fills packed
// rows [row_begin, row_end).
void pack_planes(int bits, const uint8_t* codes, uint64_t groups, uint64_t group_size,
                 uint64_t row_begin, uint64_t row_end, uint8_t* packed);

// Group size for `columns` elements a row: 128, or what is left of it in steps of 32; `columns`
// when nothing divides.
uint64_t quanto_group_size(uint64_t columns);

// The shift after quanto's detour through tinygemm's zero point, which it takes for bfloat16
// weights with groups of 128 on a CPU; in place.
void tinygemm_shift(const uint16_t* scales, uint16_t* shifts, uint64_t count);

}  // namespace precis::kernels
