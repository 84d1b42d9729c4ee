#include "plugins/gptq/quantizer.h"
#include "plugins/group_products.h"

namespace precis::gptq {

void GptqQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                sdk::PlanWriter& plan) const {
  plugins::product_shape(options, param);
  layout(param);
  plugins::plan_group_product(options, param, config_.format.bits, shape_of(param).groups(),
                              config_.columns_in_order_of_activation, plan);
}

std::unique_ptr<sdk::Linear> GptqQuantizer::prepare_linear(const precis_call& call,
                                                           const precis_linear_options& options,
                                                           const precis_param& param,
                                                           const sdk::ConstParts& parts,
                                                           const sdk::Parts& packed) const {
  check_parts(param, parts);
  return plugins::gptq_product(call, options, param, config_.format, shape_of(param),
                               checked_groups(param, parts), config_.columns_in_order_of_activation,
                               parts, packed);
}

}  // namespace precis::gptq
