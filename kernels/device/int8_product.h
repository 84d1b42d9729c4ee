// A product of int8 codes with int8 codes, as both kernels of it take it.
#pragma once

#include "kernels/cpu/common/numbers.h"
#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

// y = (sum * (x_scales[i] * scales[row])) * factor, and what the outliers add.
struct Int8Product {
  uint32_t m, rows, columns;  // x is [m][columns], the weight [rows][columns], y [m][rows]
  const int8_t* x;
  const float* x_scales;  // [m]
  const int8_t* weight;
  const float* scales;  // [rows]
  float factor;
  // Columns of outliers behind their number, or null, and x as it was: they are added as floats,
  // with the weight rounded to x's dtype. LLM.int8()'s: scales are largest magnitudes.
  const uint32_t* outliers;
  const void* wide_x;  // [m][columns]
};

// bitsandbytes 0.50 multiplies by this where 1 / (127 * 127) is meant (backends/default/ops.py,
// int8_mm_dequant); its last digits differ.
inline constexpr float kInverse127Squared = 6.200124e-05f;

template <class Activation>
PRECIS_FUNCTION float outlier_weight(const Int8Product& product, uint32_t row, uint32_t column) {
  constexpr float kInverse127 = 0.007874015718698502f;
  const auto code = static_cast<float>(product.weight[uint64_t{row} * product.columns + column]);
  return to_float(from_float<Activation>(code * product.scales[row] * kInverse127));
}

template <class Activation>
PRECIS_FUNCTION float outlier_x(const Int8Product& product, uint32_t row, uint32_t column) {
  return to_float(
      static_cast<const Activation*>(product.wide_x)[uint64_t{row} * product.columns + column]);
}

// y[m][rows] of dtype `activation`, f16 or bf16, as bias[rows], which may be null. columns is a
// multiple of 16.
const char* launch_int8_product(const Int8Product& product, WeightType activation, const void* bias,
                                void* y, void* stream);

}  // namespace precis::kernels::PRECIS_DEVICE
