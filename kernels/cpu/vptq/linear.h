// Products with VPTQ's weights: what kernels/cpu/linear needs beside VptqKernels.
#pragma once

#include "kernels/cpu/linear/product.h"
#include "kernels/cpu/vptq/vptq.h"

namespace precis::kernels {

struct VptqLinearKernels {
  // Over a VptqProductWeight.
  RowDot (*row_dot)(const VptqWeight& weight);
};

const VptqLinearKernels& vptq_linear_kernels(Isa isa);

}  // namespace precis::kernels
