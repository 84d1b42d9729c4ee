#include "plugins/awq/quantizer.h"
#include "plugins/group_products.h"

namespace precis::awq {

void AwqQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                               sdk::PlanWriter& plan) const {
  plugins::product_shape(options, param);
  layout(param);
  plugins::plan_group_product(options, param, 4, shape_of(param).groups(), false, plan);
}

std::unique_ptr<sdk::Linear> AwqQuantizer::prepare_linear(const precis_call& call,
                                                          const precis_linear_options& options,
                                                          const precis_param& param,
                                                          const sdk::ConstParts& parts,
                                                          const sdk::Parts& packed) const {
  check_parts(param, parts);
  check_zeros(parts);
  return plugins::awq_product(call, options, param, *config_.layout, shape_of(param), parts,
                              packed);
}

}  // namespace precis::awq
