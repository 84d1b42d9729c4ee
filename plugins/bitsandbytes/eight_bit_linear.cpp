#include "plugins/bitsandbytes/quantizer.h"
#include "plugins/linear.h"

namespace precis::bitsandbytes {
namespace {

struct NoFormat {};

}  // namespace

void require_exact_sums(const sdk::Matrix& matrix) {
  constexpr uint64_t kMostColumns = 65536;
  if (matrix.columns <= kMostColumns) return;
  throw sdk::PluginError(PRECIS_UNSUPPORTED, "in_features " + std::to_string(matrix.columns) +
                                                 " is above " + std::to_string(kMostColumns) +
                                                 ": sums of 8-bit products could overflow");
}

void EightBitQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                    sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  require_exact_sums(matrix);
  plan.keeps_parts();
  plan.workspace(
      plugins::product_workspace(options, kernels::Arithmetic::int8_rows, matrix.columns));
}

std::unique_ptr<sdk::Linear> EightBitQuantizer::prepare_linear(const precis_call&,
                                                               const precis_linear_options& options,
                                                               const precis_param& param,
                                                               const sdk::ConstParts& parts,
                                                               const sdk::Parts&) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  if (parts.size() < 2)
    throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  plugins::require_bytes(*parts[0], matrix.elements());
  plugins::require_bytes(*parts[1], matrix.rows * sizeof(float));
  if (parts.size() > 2) require_row_major(text_of(*parts[2]));
  kernels::LinearWeight weight{};
  weight.arithmetic = kernels::Arithmetic::int8_rows;
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.codes = sdk::data<const int8_t>(*parts[0]);
  weight.scb = sdk::data<const float>(*parts[1]);
  weight.threshold = config_.int8_threshold;
  return std::make_unique<plugins::Product<NoFormat>>(options, weight, NoFormat{});
}

}  // namespace precis::bitsandbytes
