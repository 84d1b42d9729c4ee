// The ABI's dtypes as the kernels name them.
#pragma once

#include <precis/tensor.hpp>

#include "kernels/cpu/common/numbers.h"

namespace precis::plugins {

// Throws PRECIS_UNSUPPORTED for what is no weight's dtype.
inline kernels::WeightType weight_type(precis_dtype dtype) {
  if (sdk::same(dtype, sdk::kFloat32)) return kernels::WeightType::f32;
  if (sdk::same(dtype, sdk::kFloat16)) return kernels::WeightType::f16;
  if (sdk::same(dtype, sdk::kBFloat16)) return kernels::WeightType::bf16;
  throw sdk::PluginError(PRECIS_UNSUPPORTED, "weights must be float32, float16 or bfloat16");
}

}  // namespace precis::plugins
