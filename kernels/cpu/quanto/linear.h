// Products with optimum-quanto's weights: what kernels/cpu/linear needs to read them.
#pragma once

#include "kernels/cpu/linear/product.h"
#include "kernels/cpu/quanto/quanto.h"

namespace precis::kernels {

// qint4, qint2: decode to what QuantoKernels decodes them to.
struct QuantoGroupWeight {
  int bits;
  WeightType scale_type, out_type;
  const uint8_t* packed;
  const void *scales, *shifts;
  uint64_t groups, group_size, columns;
  // A weight of one group has a scale and a shift for each column, the library's special case.
  bool per_column;
};

struct QuantoLinearKernels {
  // LinearWeight::decode_floats over a QuantoGroupWeight.
  void (*decode_groups)(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);
  RowDot (*row_dot)(const QuantoGroupWeight& weight);
};

const QuantoLinearKernels& quanto_linear_kernels(Isa isa);

}  // namespace precis::kernels
