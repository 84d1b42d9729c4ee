// Products with torchao's weights: what kernels/cpu/linear needs beside AoDecoders.
#pragma once

#include "kernels/cpu/linear/product.h"
#include "kernels/cpu/torchao/torchao.h"

namespace precis::kernels {

struct AoLinearKernels {
  // Over an AoProductWeight, of pairs with row_scales and row_zeros.
  RowDot (*row_dot)(const AoWeight& weight);
};

const AoLinearKernels& ao_linear_kernels(Isa isa);

}  // namespace precis::kernels
