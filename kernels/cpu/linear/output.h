// Writing sums as rows of y.
#pragma once

#include "kernels/cpu/common/numbers.h"
#include "kernels/cpu/linear/stages.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {

// 1 / 127^2, in bitsandbytes' digits.
inline constexpr float kInverse127Squared = 6.200124e-05f;

// What sums of int8_rows are multiplied by beside both scales.
inline float sum_factor(const LinearWeight& weight) {
  return weight.rounding == nullptr ? kInverse127Squared : 1.0f;
}

// y[row][column + i] = values[i] + bias[column + i].
template <typename Type>
void write_row(const LinearOutput& y, uint64_t row, uint64_t column, const float* values,
               uint64_t count) {
  using Stored = typename Type::Stored;
  Stored* out = static_cast<Stored*>(y.data) + row * y.stride + column;
  if (y.bias == nullptr) {
    for (uint64_t i = 0; i < count; ++i) Type::store(out, i, values[i]);
    return;
  }
  const Stored* bias = static_cast<const Stored*>(y.bias) + column;
  for (uint64_t i = 0; i < count; ++i) Type::store(out, i, values[i] + Type::load(bias, i));
}

// An outlier column's weight, as LLM.int8() decodes it: rounded to the dtype of the activations.
inline float outlier_weight(const LinearWeight& weight, WeightType type, uint64_t row,
                            uint64_t column) {
  constexpr float kInverse127 = 0.007874015718698502f;
  const float code = static_cast<float>(weight.codes[row * weight.in_features + column]);
  const float value = code * weight.scb[row] * kInverse127;
  float rounded = value;
  with_type(type, [&](auto tag) { rounded = decltype(tag)::round(value); });
  return rounded;
}

inline float activation_at(const Activations& x, uint64_t row, uint64_t column) {
  float value = 0;
  with_type(x.type, [&](auto tag) {
    using Type = decltype(tag);
    value = Type::load(static_cast<const typename Type::Stored*>(x.data) + row * x.stride, column);
  });
  return value;
}

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
