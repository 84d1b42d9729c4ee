#include "kernels/cpu/hqq/linear.h"

#include "plugins/hqq/quantizer.h"
#include "plugins/hqq/stored_weight.h"
#include "plugins/linear.h"

namespace precis::hqq {

void HqqQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                               sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  plan.keeps_parts();
  plan.workspace(
      plugins::product_workspace(options, plugins::float_arithmetic(options), matrix.columns));
}

std::unique_ptr<sdk::Linear> HqqQuantizer::prepare_linear(const precis_call&,
                                                          const precis_linear_options& options,
                                                          const precis_param& param,
                                                          const sdk::ConstParts& parts,
                                                          const sdk::Parts&) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  kernels::LinearWeight weight{};
  weight.arithmetic = plugins::float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = kernels::hqq_kernels(kernels::current_isa()).decode_floats;
  const kernels::HqqProductWeight stored{stored_weight(param, parts), matrix.columns,
                                         plugins::decoded_type(weight.arithmetic)};
  weight.row_dot = kernels::hqq_linear_kernels(kernels::current_isa()).row_dot(stored);
  return std::make_unique<plugins::Product<kernels::HqqProductWeight>>(options, weight, stored);
}

}  // namespace precis::hqq
