// Products with scaled weights: what kernels/cpu/linear needs beside ScaledKernels.
#pragma once

#include "kernels/cpu/linear/product.h"
#include "kernels/cpu/scaled/scaled.h"

namespace precis::kernels {

struct ScaledLinearKernels {
  // Over a ScaledProduct.
  RowDot (*row_dot)(const ScaledWeight& weight);
};

const ScaledLinearKernels& scaled_linear_kernels(Isa isa);

// Codes of 4 bits, and tiles of neighbours.
inline bool has_nibbles(const ScaledWeight& weight) {
  const NarrowRows& rows = weight.rows;
  return (rows.type == NarrowType::float4_e2m1 ||
          (rows.type == NarrowType::packed_int && rows.bits == 4)) &&
         weight.tile_of == nullptr;
}
// Whether tiles are so wide that it pays to compute the values of all 16 codes of a tile, which
// have no more than that.
inline bool has_nibble_tiles(const ScaledWeight& weight) {
  return has_nibbles(weight) && weight.tiles.columns >= 32 && weight.tiles.columns % 2 == 0;
}

}  // namespace precis::kernels
