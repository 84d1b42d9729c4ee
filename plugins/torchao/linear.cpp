#include "plugins/linear.h"

#include "plugins/torchao/quantizer.h"
#include "plugins/torchao/stored.h"

namespace precis::torchao {

void TorchAoQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                   sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  plan.keeps_parts();
  plan.workspace(
      plugins::product_workspace(options, plugins::float_arithmetic(options), matrix.columns));
}

// Activations stay as they are, also where the library would quantize them.
std::unique_ptr<sdk::Linear> TorchAoQuantizer::prepare_linear(const precis_call&,
                                                              const precis_linear_options& options,
                                                              const precis_param& param,
                                                              const sdk::ConstParts& parts,
                                                              const sdk::Parts&) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  kernels::LinearWeight weight{};
  weight.arithmetic = plugins::float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = kernels::ao_decoders(kernels::current_isa()).decode_floats;
  return std::make_unique<plugins::Product<kernels::AoProductWeight>>(
      options, weight,
      kernels::AoProductWeight{stored_weight(param, parts),
                               plugins::decoded_type(weight.arithmetic)});
}

}  // namespace precis::torchao
