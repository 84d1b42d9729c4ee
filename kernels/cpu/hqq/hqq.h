// HQQ's weights (hqq 0.2.8: core/quantize.py, core/bitpack.py, core/optimize.py).
//
// A weight is reshaped, in row-major order, to a grouped matrix: with axis 1 to rows of group_size
// neighbours, each a group; with axis 0 to group_size rows, each column a group. Codes are packed
// along its rows: piece p of the rows, the first in the highest bits, shares words with all others.
// All functions are re-entrant; callers split the work.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

struct HqqGrid {
  int bits;                // of a packed code: 8, 4, 2 or 1 in bytes, 3 in words of 32 bits
  int axis;                // 1: a row is a group; 0: a column is
  uint64_t rows, columns;  // of the grouped matrix

  uint64_t groups() const { return axis == 1 ? rows : columns; }
  uint64_t pieces() const { return bits == 3 ? 10 : static_cast<uint64_t>(8 / bits); }
  uint64_t packed_rows() const { return (rows + pieces() - 1) / pieces(); }
  uint64_t packed_bytes() const { return packed_rows() * columns * (bits == 3 ? 4 : 1); }
};

// A stored weight. compute: the dtype that each step of decoding is rounded to.
struct HqqWeight {
  HqqGrid grid;
  const void* packed;
  WeightType compute, meta_type;
  const void *scales, *zeros;  // meta_type, one a group
};

// What HqqKernels::decode_floats is handed: in_features numbers a row, decoded to `out`.
struct HqqProductWeight {
  HqqWeight weight;
  uint64_t in_features;
  WeightType out;
};

struct HqqKernels {
  // Codes of packed rows [row_begin, row_end): weight * scale + zero, rounded, within 0 ... levels.
  // Here a scale is what weights are multiplied by.
  void (*pack)(WeightType type, const void* weight, const HqqGrid& grid, int levels,
               const float* scales, const float* zeros, uint64_t row_begin, uint64_t row_end,
               void* packed);
  // Decodes elements [begin, end) of the weight to out[0 ...).
  void (*dequantize)(const HqqWeight& weight, uint64_t begin, uint64_t end, WeightType out_type,
                     void* out);
  // LinearWeight::decode_floats over an HqqProductWeight.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
};

const HqqKernels& hqq_kernels(Isa isa);

// Fits scale and zero point. Of groups [group_begin, group_end), in float32.
struct HqqSolver {
  // From each group's minimum and maximum; a range of 1e-4 or less has scale 1.
  void (*start)(WeightType type, const void* weight, const HqqGrid& grid, int levels,
                bool round_zero, uint64_t group_begin, uint64_t group_end, float* scales,
                float* zeros);
  // One iteration of optimize_weights_proximal_legacy: half-quadratic splitting with the l_0.7
  // norm and beta 10, which moves the zero points. Returns the sum of |error| of the zero points it
  // found. Means are summed in float64: torch's order of float32 sums depends on the machine.
  double (*refine)(WeightType type, const void* weight, const HqqGrid& grid, int levels,
                   uint64_t group_begin, uint64_t group_end, const float* scales, float* zeros);
};

const HqqSolver& hqq_solver(Isa isa);

}  // namespace precis::kernels
