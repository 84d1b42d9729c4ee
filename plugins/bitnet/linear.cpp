#include "plugins/bitnet/quantizer.h"
#include "plugins/rounded_product.h"

namespace precis::bitnet {
namespace {

constexpr kernels::ActivationRounding kRounding{kernels::ActivationRule::bitnet};

}  // namespace

void BitNetQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                  sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  layout(param);
  const precis_linear_options inner = plugins::rounded_options(options, kRounding);
  plan.keeps_parts();
  plan.workspace(plugins::product_workspace(inner, kernels::Arithmetic::float32, matrix.columns) +
                 plugins::rounded_workspace(options, kRounding, matrix));
}

// The library rounds activations to integers of 8 bits a token, in both of its classes.
std::unique_ptr<sdk::Linear> BitNetQuantizer::prepare_linear(const precis_call&,
                                                             const precis_linear_options& options,
                                                             const precis_param& param,
                                                             const sdk::ConstParts& parts,
                                                             const sdk::Parts&) const {
  check_parts(param, parts);
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  kernels::LinearWeight weight{};
  weight.arithmetic = kernels::Arithmetic::float32;
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  // kRounding leaves products in float32 alone.
  weight.decode_floats = kernels::bitnet_kernels(kernels::current_isa()).decode_floats;
  auto product = std::make_unique<plugins::Product<kernels::BitNetWeight>>(
      plugins::rounded_options(options, kRounding), weight, stored_weight(matrix, parts));
  return std::make_unique<plugins::RoundedProduct>(options, kRounding, matrix, std::move(product));
}

}  // namespace precis::bitnet
