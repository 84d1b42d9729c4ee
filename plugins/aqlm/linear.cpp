#include "kernels/cpu/aqlm/linear.h"

#include "plugins/aqlm/quantizer.h"
#include "plugins/linear.h"

namespace precis::aqlm {

void AqlmQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  plan.keeps_parts();
  plan.workspace(
      plugins::product_workspace(options, plugins::float_arithmetic(options), matrix.columns));
}

std::unique_ptr<sdk::Linear> AqlmQuantizer::prepare_linear(const precis_call&,
                                                           const precis_linear_options& options,
                                                           const precis_param& param,
                                                           const sdk::ConstParts& parts,
                                                           const sdk::Parts&) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  if (parts.size() <= kScales) throw sdk::PluginError(PRECIS_DATA_LOSS, "parts are missing");
  const std::vector<sdk::PartLayout> expected = layout(param);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& shape = expected[i].shape;
    plugins::require_bytes(*parts[i],
                           sdk::elements(static_cast<int32_t>(shape.size()), shape.data()) *
                               (parts[i]->view.dtype.bits / 8u));
  }
  kernels::LinearWeight weight{};
  weight.arithmetic = plugins::float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = kernels::aqlm_kernels(kernels::current_isa()).decode_floats;
  const kernels::AqlmProductWeight stored{stored_weight(param, parts),
                                          plugins::decoded_type(weight.arithmetic)};
  weight.row_dot = kernels::aqlm_linear_kernels(kernels::current_isa()).row_dot(stored.weight);
  return std::make_unique<plugins::Product<kernels::AqlmProductWeight>>(options, weight, stored);
}

}  // namespace precis::aqlm
