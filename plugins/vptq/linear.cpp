#include "kernels/cpu/vptq/linear.h"

#include "plugins/linear.h"
#include "plugins/vptq/quantizer.h"

namespace precis::vptq {

namespace {

// The weight with the order of columns it points to.
struct Kept : kernels::VptqProductWeight {
  std::vector<uint32_t> places;
};

}  // namespace

void VptqQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  plan.keeps_parts();
  plan.workspace(
      plugins::product_workspace(options, plugins::float_arithmetic(options), matrix.columns));
}

std::unique_ptr<sdk::Linear> VptqQuantizer::prepare_linear(const precis_call&,
                                                           const precis_linear_options& options,
                                                           const precis_param& param,
                                                           const sdk::ConstParts& parts,
                                                           const sdk::Parts&) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  const Layer layer = layer_of(param);
  const std::vector<sdk::PartLayout> expected = parts_of(layer, param.dtype);
  check_parts(param, parts);
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
  weight.decode_rows = kernels::vptq_kernels(kernels::current_isa()).decode_rows;
  Stored stored = stored_weight(layer, parts, {0, matrix.rows});
  // Moving the vector leaves its numbers where they are.
  Kept kept{{stored.weight, plugins::decoded_type(weight.arithmetic)}, std::move(stored.places)};
  weight.row_dot = kernels::vptq_linear_kernels(kernels::current_isa()).row_dot(stored.weight);
  return std::make_unique<plugins::Product<Kept>>(options, weight, std::move(kept));
}

}  // namespace precis::vptq
