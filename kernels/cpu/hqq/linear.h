// Products with HQQ's weights: what kernels/cpu/linear needs beside HqqKernels.
#pragma once

#include "kernels/cpu/hqq/hqq.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

struct HqqLinearKernels {
  RowDot (*row_dot)(const HqqProductWeight& weight);
};

const HqqLinearKernels& hqq_linear_kernels(Isa isa);

}  // namespace precis::kernels
