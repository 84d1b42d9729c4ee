// VPTQ's vectors of output features (vptq 0.0.5: ops/quant_gemm.py, utils/pack.py).
//
// Vector i of an input column is its rows i * v to i * v + v - 1. Each is a centroid, to which one
// of a second codebook may be added. The first columns may be outliers with a codebook of their
// own, the others stand in equal groups, each with its own codebooks. All functions are
// re-entrant; callers split the work.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"
#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

struct VptqWeight {
  uint64_t rows, columns;
  WeightType type;  // of all floats; sums and products are rounded to it

  uint64_t vector, groups, group_size;
  int bits, residual_bits;  // of an index; 0 residual bits: no second codebook
  // [groups][ceil(rows / vector)][ceil(group_size * (bits + residual_bits) / 32)]: a little-endian
  // stream of indices, the residual's in the upper bits of each.
  const uint32_t* indices;
  const void* centroids;  // [groups][1 << bits][vector]
  const void* residual;   // [groups][1 << residual_bits][vector]

  uint64_t outliers, outlier_vector;  // outliers: columns of the first kind
  const uint16_t* outlier_indices;    // [ceil(rows / outlier_vector)][outliers]
  const void* outlier_centroids;      // [..][outlier_vector]

  const uint32_t* places;       // the stored place of each column; null: they are in order
  const void *scales, *biases;  // of each column; null: none

  uint64_t vectors() const { return (rows + vector - 1) / vector; }
  uint64_t words() const {
    return (group_size * static_cast<uint64_t>(bits + residual_bits) + 31) / 32;
  }
};

// What VptqKernels::decode_rows is handed: values rounded to `out`.
struct VptqProductWeight {
  VptqWeight weight;
  WeightType out;
};

inline namespace PRECIS_ISA {

// One index of `bits` bits, at most 32, at place `index` of a little-endian stream of 32-bit words.
inline uint32_t stream_bits(const uint32_t* words, uint64_t index, int bits) {
  const uint64_t bit = index * static_cast<uint64_t>(bits);
  const uint64_t word = bit / 32, shift = bit % 32;
  uint64_t value = words[word];
  if (shift + static_cast<uint64_t>(bits) > 32)
    value |= static_cast<uint64_t>(words[word + 1]) << 32;
  return static_cast<uint32_t>(value >> shift & ((uint64_t{1} << bits) - 1));
}

// Puts it there; the words were zero before.
inline void put_stream_bits(uint32_t* words, uint64_t index, int bits, uint32_t value) {
  const uint64_t bit = index * static_cast<uint64_t>(bits);
  const uint64_t word = bit / 32, shift = bit % 32;
  const uint64_t placed = static_cast<uint64_t>(value) << shift;
  words[word] |= static_cast<uint32_t>(placed);
  if (shift + static_cast<uint64_t>(bits) > 32)
    words[word + 1] |= static_cast<uint32_t>(placed >> 32);
}

}  // namespace PRECIS_ISA

struct VptqKernels {
  // Rows [row_begin, row_end) to out[0 ...).
  void (*dequantize)(const VptqWeight& weight, uint64_t row_begin, uint64_t row_end,
                     WeightType out_type, void* out);
  // LinearWeight::decode_rows over a VptqProductWeight.
  void (*decode_rows)(const void* format, uint64_t row, uint64_t rows, uint64_t begin, uint64_t end,
                      void* out, uint64_t stride);
};

const VptqKernels& vptq_kernels(Isa isa);

}  // namespace precis::kernels
