// Products of float8 weights with activations that the library rounds to float8 as they come.
#pragma once

#include "kernels/cpu/fp8/linear.h"
#include "plugins/rounded_product.h"

namespace precis::plugins {

// Neighbours whose sum is scaled as one: what shares a scale on both sides.
inline uint64_t float8_group(const kernels::ActivationRounding& rounding) {
  return rounding.group == 0 ? kernels::kStrip : rounding.group;
}

// Whether the machine multiplies codes by codes; else a RoundedProduct takes the numbers they stand
// for. tile_columns: columns of the weight that share a scale.
inline bool has_float8_product(const kernels::ActivationRounding& rounding,
                               const sdk::Matrix& matrix, uint64_t tile_columns) {
  const bool whole_rows = rounding.group == 0 && tile_columns >= matrix.columns;
  return rounding.rule == kernels::ActivationRule::float8 &&
         (whole_rows || rounding.group == tile_columns) &&
         kernels::has_bfloat16_groups(kernels::current_isa(), float8_group(rounding));
}

// What a product of codes keeps.
struct Float8Rows : kernels::Fp8Product {
  std::unique_ptr<kernels::ActivationRounding> rounding;
  std::unique_ptr<std::vector<float>> scales;  // or null: those of the parts
};

inline std::unique_ptr<sdk::Linear> float8_product(const precis_linear_options& options,
                                                   const kernels::ActivationRounding& rounding,
                                                   const sdk::Matrix& matrix,
                                                   const kernels::Fp8Product& stored,
                                                   std::vector<float> scales = {}) {
  Float8Rows kept{stored, std::make_unique<kernels::ActivationRounding>(rounding), nullptr};
  if (!scales.empty()) {
    kept.scales = std::make_unique<std::vector<float>>(std::move(scales));
    kept.Fp8Product::scales = kept.scales->data();
  }
  kernels::LinearWeight weight{};
  weight.arithmetic = kernels::Arithmetic::bfloat16_groups;
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_groups = kernels::fp8_linear_kernels(kernels::current_isa()).decode_groups;
  weight.rounding = kept.rounding.get();
  weight.group = static_cast<uint32_t>(float8_group(rounding));
  return std::make_unique<Product<Float8Rows>>(options, weight, std::move(kept));
}

}  // namespace precis::plugins
