// AQLM's additive codebooks (aqlm 1.1.7: utils.py, inference.py).
//
// A weight is cut into blocks of out_group x in_group. A block is the sum of one codeword of each
// codebook, times a scale of its output group. All functions are re-entrant; callers split the
// work.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

struct AqlmShape {
  uint64_t rows, columns, out_group, in_group, codebooks;
  int bits;  // of a code, 1 to 16

  uint64_t out_groups() const { return rows / out_group; }
  uint64_t in_groups() const { return columns / in_group; }
  uint64_t blocks() const { return out_groups() * in_groups(); }
  uint64_t block_size() const { return out_group * in_group; }
  uint64_t codewords() const { return uint64_t{1} << bits; }
};

struct AqlmWeight {
  AqlmShape shape;
  // Signed, modulo 2^bits: int8 up to 8 bits, else int16. Elements from output group to output
  // group and from input group to input group; the codebooks' codes are neighbours.
  const void* codes;
  uint64_t out_stride, in_stride;
  WeightType type;        // of codebooks and scales; sums and products are rounded to it
  const void* codebooks;  // [codebooks][codewords][out_group][in_group]
  const void* scales;     // [out_groups]
};

// What AqlmKernels::decode_floats is handed: values rounded to `out`.
struct AqlmProductWeight {
  AqlmWeight weight;
  WeightType out;
};

struct AqlmKernels {
  // Rows [row_begin, row_end) to out[0 ...).
  void (*dequantize)(const AqlmWeight& weight, uint64_t row_begin, uint64_t row_end,
                     WeightType out_type, void* out);
  // LinearWeight::decode_floats over an AqlmProductWeight.
  void (*decode_floats)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
};

const AqlmKernels& aqlm_kernels(Isa isa);

}  // namespace precis::kernels
