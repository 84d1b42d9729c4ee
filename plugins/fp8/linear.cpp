#include "plugins/float8_product.h"
#include "plugins/fp8/quantizer.h"

namespace precis::fp8 {

using kernels::ActivationRounding;
using kernels::Fp8Tiles;

namespace {

using Rounding = std::optional<ActivationRounding>;

precis_linear_options inner_options(const precis_linear_options& options,
                                    const Rounding& rounding) {
  return rounding ? plugins::rounded_options(options, *rounding) : options;
}

void plan_product(const precis_linear_options& options, const precis_param& param,
                  const Rounding& rounding, uint64_t tile_columns, sdk::PlanWriter& plan) {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  const precis_linear_options inner = inner_options(options, rounding);
  plan.keeps_parts();
  if (rounding && plugins::has_float8_product(*rounding, matrix, tile_columns)) {
    plan.workspace(
        plugins::product_workspace(options, kernels::Arithmetic::bfloat16_groups, matrix.columns));
    return;
  }
  plan.workspace(
      plugins::product_workspace(inner, plugins::float_arithmetic(inner), matrix.columns) +
      (rounding ? plugins::rounded_workspace(options, *rounding, matrix) : 0));
}

std::unique_ptr<sdk::Linear> make_product(const precis_linear_options& options,
                                          const precis_param& param, const Rounding& rounding,
                                          const Fp8Tiles& tiles, const sdk::ConstParts& parts) {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  const precis_linear_options inner = inner_options(options, rounding);
  kernels::Fp8Product stored{sdk::data<const uint8_t>(*parts[kCodes]), tiles,
                             scale_type(parts[kScales]->view.dtype),
                             sdk::data<const void>(*parts[kScales]), kernels::WeightType::f32};
  if (rounding && plugins::has_float8_product(*rounding, matrix, tiles.tile_columns))
    return plugins::float8_product(options, *rounding, matrix, stored);
  kernels::LinearWeight weight{};
  weight.arithmetic = plugins::float_arithmetic(inner);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = kernels::fp8_kernels(kernels::current_isa()).decode_floats;
  stored.out_type = plugins::decoded_type(weight.arithmetic);
  weight.row_dot = kernels::fp8_linear_kernels(kernels::current_isa()).row_dot(stored);
  auto product = std::make_unique<plugins::Product<kernels::Fp8Product>>(inner, weight, stored);
  if (!rounding) return product;
  return std::make_unique<plugins::RoundedProduct>(options, *rounding, matrix, std::move(product));
}

}  // namespace

// A scale for as many neighbours as a tile is wide, 1/448 of the largest. Measured scales of a
// static scheme belong to the whole layer; there activations are taken as they are.
Rounding TileQuantizer::activations() const {
  if (config_.normalized["activation_scheme"] == "static") return std::nullopt;
  ActivationRounding rounding{kernels::ActivationRule::float8};
  rounding.group = config_.tile_columns;
  return rounding;
}

void TileQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                sdk::PlanWriter& plan) const {
  plan_product(options, param, activations(), tiles(param).tile_columns, plan);
}

std::unique_ptr<sdk::Linear> TileQuantizer::prepare_linear(const precis_call&,
                                                           const precis_linear_options& options,
                                                           const precis_param& param,
                                                           const sdk::ConstParts& parts,
                                                           const sdk::Parts&) const {
  check_parts(param, parts);
  return make_product(options, param, activations(), tiles(param), parts);
}

// FBGEMM's quantize_fp8_per_row.
Rounding RowQuantizer::activations() const {
  ActivationRounding rounding{kernels::ActivationRule::float8};
  const sdk::Json& bound = normalized()["activation_scale_ub"];
  if (bound.is_number()) rounding.largest = bound.get<float>();
  rounding.smallest_scale = 1.0f / (448.0f * 512.0f);
  return rounding;
}

void RowQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                               sdk::PlanWriter& plan) const {
  plan_product(options, param, activations(), tiles(param).tile_columns, plan);
}

std::unique_ptr<sdk::Linear> RowQuantizer::prepare_linear(const precis_call&,
                                                          const precis_linear_options& options,
                                                          const precis_param& param,
                                                          const sdk::ConstParts& parts,
                                                          const sdk::Parts&) const {
  check_parts(param, parts);
  return make_product(options, param, activations(), tiles(param), parts);
}

}  // namespace precis::fp8
