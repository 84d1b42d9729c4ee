// Products with HQQ's weights: what kernels/cpu/linear needs beside HqqKernels.
#pragma once

#include "kernels/cpu/hqq/hqq.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

struct HqqLinearKernels {
  // LinearWeight::dot_bfloat16 over an HqqProductWeight for which has_nibble_dot is true, or null
  // where the machine lacks it.
  void (*dot)(const void* format, uint64_t row, const BFloat16Rows& x, float* sums);
};

const HqqLinearKernels& hqq_linear_kernels(Isa isa);

inline bool has_nibble_dot(const HqqProductWeight& product) {
  const HqqGrid& grid = product.weight.grid;
  return grid.bits == 4 && grid.axis == 1 && grid.columns % kSumColumns == 0 &&
         product.in_features % grid.columns == 0;
}

}  // namespace precis::kernels
