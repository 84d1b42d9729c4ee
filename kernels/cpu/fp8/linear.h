// Products with weights in float8: what kernels/cpu/linear needs beside Fp8Kernels.
#pragma once

#include <cstdint>

#include "kernels/cpu/fp8/fp8.h"
#include "kernels/cpu/linear/product.h"

namespace precis::kernels {

struct Fp8LinearKernels {
  // LinearWeight::decode_groups over an Fp8Product: codes as bfloat16, which holds them exactly.
  void (*decode_groups)(const void* format, uint64_t row, uint64_t begin, uint64_t end,
                        uint16_t* out, float* scales);
  // Over an Fp8Product.
  RowDot (*row_dot)(const Fp8Product& weight);
};

const Fp8LinearKernels& fp8_linear_kernels(Isa isa);

}  // namespace precis::kernels
