// Products with torchao's weights: what kernels/cpu/linear needs beside AoDecoders.
#pragma once

#include "kernels/cpu/linear/product.h"
#include "kernels/cpu/torchao/torchao.h"

namespace precis::kernels {

struct AoLinearKernels {
  // LinearWeight::dot_bfloat16 over an AoProductWeight for which has_nibble_dot is true, or null
  // where the machine lacks it.
  void (*dot)(const void* format, uint64_t row, const BFloat16Rows& x, float* sums);
};

const AoLinearKernels& ao_linear_kernels(Isa isa);

inline bool has_nibble_dot(const AoWeight& weight) {
  return weight.codes == AoCodes::int4_pairs && weight.block % kSumColumns == 0 &&
         weight.columns % weight.block == 0;
}

}  // namespace precis::kernels
