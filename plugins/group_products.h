// Products with weights that are packed as GPTQ's or AWQ's, whoever rounded them.
#pragma once

#include "kernels/cpu/awq/awq.h"
#include "kernels/cpu/gptq/gptq.h"
#include "plugins/linear.h"

namespace precis::plugins {

// The host keeps the parts, and the scales and zero points of all groups row by row.
inline void plan_group_product(const precis_linear_options& options, const precis_param& param,
                               uint64_t groups, sdk::PlanWriter& plan) {
  const sdk::Matrix matrix = product_shape(options, param);
  const std::vector<int64_t> shape{static_cast<int64_t>(matrix.rows), static_cast<int64_t>(groups)};
  plan.add_numbers("scales", sdk::kFloat32, shape);
  plan.add_numbers("zeros", sdk::kInt32, shape);
  plan.keeps_parts();
  plan.workspace(product_workspace(options, float_arithmetic(options), matrix.columns));
}

inline kernels::LinearWeight group_weight(const precis_linear_options& options,
                                          const precis_param& param) {
  const sdk::Matrix matrix = product_shape(options, param);
  kernels::LinearWeight weight{};
  weight.arithmetic = float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  return weight;
}

// parts: codes, zero points, scales, as the plan of their method has them; packed: as planned
// above.
inline std::unique_ptr<sdk::Linear> gptq_product(
    const precis_linear_options& options, const precis_param& param,
    const kernels::GptqFormat& format, const kernels::GptqShape& shape, const int32_t* group_of,
    const sdk::ConstParts& parts, const sdk::Parts& packed) {
  const auto& kernel = kernels::gptq_kernels(kernels::current_isa());
  kernels::LinearWeight weight = group_weight(options, param);
  weight.decode_floats = kernel.decode_floats;
  const auto scale_type = weight_type(parts.at(2)->view.dtype);
  auto* scales = sdk::data<float>(*packed.at(0));
  auto* zeros = sdk::data<int32_t>(*packed.at(1));
  kernel.read_groups(format, shape, sdk::data<const uint32_t>(*parts[1]), scale_type,
                     sdk::data<const void>(*parts[2]), scales, zeros);
  return std::make_unique<Product<kernels::GptqProduct>>(
      options, weight,
      kernels::GptqProduct{format, shape, sdk::data<const uint32_t>(*parts[0]), scales, zeros,
                           scale_type, group_of, decoded_type(weight.arithmetic)});
}

inline std::unique_ptr<sdk::Linear> awq_product(
    const precis_linear_options& options, const precis_param& param, kernels::AwqLayout layout,
    const kernels::AwqShape& shape, const sdk::ConstParts& parts, const sdk::Parts& packed) {
  const auto& kernel = kernels::awq_kernels(kernels::current_isa());
  kernels::LinearWeight weight = group_weight(options, param);
  weight.decode_floats = kernel.decode_floats;
  const auto scale_type = weight_type(parts.at(2)->view.dtype);
  auto* scales = sdk::data<float>(*packed.at(0));
  auto* zeros = sdk::data<float>(*packed.at(1));
  kernel.read_affine(layout, shape, sdk::data<const void>(*parts[1]), scale_type,
                     sdk::data<const void>(*parts[2]), scales, zeros);
  return std::make_unique<Product<kernels::AwqProduct>>(
      options, weight,
      kernels::AwqProduct{layout, shape, sdk::data<const void>(*parts[0]), scales, zeros,
                          scale_type, decoded_type(weight.arithmetic)});
}

}  // namespace precis::plugins
