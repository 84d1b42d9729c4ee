// Products with AQLM's weights: what kernels/cpu/linear needs beside AqlmKernels.
#pragma once

#include "kernels/cpu/aqlm/aqlm.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

struct AqlmLinearKernels {
  // Over an AqlmProductWeight.
  RowDot (*row_dot)(const AqlmWeight& weight);
};

const AqlmLinearKernels& aqlm_linear_kernels(Isa isa);

}  // namespace precis::kernels
