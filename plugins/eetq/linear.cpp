#include "plugins/linear.h"

#include "kernels/cpu/eetq/eetq.h"
#include "plugins/eetq/quantizer.h"

namespace precis::eetq {

void EetqQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  layout(param);
  plan.keeps_parts();
  plan.workspace(
      plugins::product_workspace(options, plugins::float_arithmetic(options), matrix.columns));
}

std::unique_ptr<sdk::Linear> EetqQuantizer::prepare_linear(const precis_call&,
                                                           const precis_linear_options& options,
                                                           const precis_param& param,
                                                           const sdk::ConstParts& parts,
                                                           const sdk::Parts&) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  if (parts.size() <= kScales) throw sdk::PluginError(PRECIS_DATA_LOSS, "parts are missing");
  plugins::require_bytes(*parts[kCodes], matrix.elements());
  plugins::require_bytes(*parts[kScales], matrix.rows * sizeof(uint16_t));
  kernels::LinearWeight weight{};
  weight.arithmetic = plugins::float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  const auto& kernels = kernels::eetq_kernels(kernels::current_isa());
  const kernels::EetqProduct stored{sdk::data<const uint8_t>(*parts[kCodes]),
                                    sdk::data<const uint16_t>(*parts[kScales]), matrix.columns,
                                    plugins::decoded_type(weight.arithmetic)};
  weight.decode_floats = kernels.decode_floats;
  weight.row_dot = kernels.row_dot(stored);
  return std::make_unique<plugins::Product<kernels::EetqProduct>>(options, weight, stored);
}

}  // namespace precis::eetq
