// Products with scaled weights: what kernels/cpu/linear needs beside ScaledKernels.
#pragma once

#include "kernels/cpu/linear/product.h"
#include "kernels/cpu/scaled/scaled.h"

namespace precis::kernels {

struct ScaledLinearKernels {
  // LinearWeight::dot_bfloat16 over a ScaledProduct for which has_dot is true, or null where the
  // machine lacks it.
  void (*dot)(const void* format, uint64_t row, const BFloat16Rows& x, float* sums);
};

const ScaledLinearKernels& scaled_linear_kernels(Isa isa);

// Whether tiles are so wide that it pays to compute the values of all 16 codes of a tile, which
// have no more than that.
inline bool has_nibble_tiles(const ScaledWeight& weight) {
  const NarrowRows& rows = weight.rows;
  return (rows.type == NarrowType::float4_e2m1 ||
          (rows.type == NarrowType::packed_int && rows.bits == 4)) &&
         weight.tile_of == nullptr && weight.tiles.columns >= 32 && weight.tiles.columns % 2 == 0;
}
inline bool has_integer_bytes(const ScaledWeight& weight) {
  const NarrowRows& rows = weight.rows;
  return rows.type == NarrowType::int8 || (rows.type == NarrowType::packed_int && rows.bits == 8);
}
inline bool has_dot(const ScaledWeight& weight) {
  return (has_nibble_tiles(weight) || has_integer_bytes(weight)) && weight.tile_of == nullptr &&
         weight.tiles.columns % kSumColumns == 0 && weight.rows.columns % kSumColumns == 0;
}

}  // namespace precis::kernels
