// What a model multiplies its activations with, where that is more than numbers times scales.
#pragma once

#include <vector>

#include "kernels/cpu/linear/product.h"
#include "kernels/cpu/scaled/scaled.h"

namespace precis::modelopt {

struct EffectiveWeight {
  kernels::ScaledProduct numbers{};  // decoded to float32
  // W4A8_AWQ: each value is rounded to float8 with this scale. 0: it is not.
  float float8_scale = 0;
  // pre_quant_scale, which the model multiplies its activations by: that of each column. Empty:
  // there is none.
  std::vector<float> columns;
  kernels::WeightType out_type = kernels::WeightType::f32;  // of decode_floats

  bool is_plain() const { return float8_scale == 0 && columns.empty(); }
};

// Columns [begin, end) of `row` in float32; at most kernels::kStrip, `begin` a multiple of it.
void decode(const EffectiveWeight& weight, uint64_t row, uint64_t begin, uint64_t end, float* out);

// kernels::LinearWeight::decode_floats over an EffectiveWeight.
void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out);

}  // namespace precis::modelopt
