#include "plugins/scaled_quantizer.h"

#include <cmath>
#include <mutex>

namespace precis::plugins {

kernels::ValueRange whole_range(const precis_call& call, const sdk::Matrix& matrix,
                                kernels::WeightType type, const void* weight) {
  kernels::ValueRange whole;
  std::mutex mutex;
  sdk::for_rows(call, matrix, 1, [&](sdk::RowRange rows) {
    const kernels::ValueRange found =
        scaled_kernel().range(type, weight, rows.begin * matrix.columns, rows.end * matrix.columns);
    const std::lock_guard lock(mutex);
    if (std::isnan(whole.low)) return;
    whole = std::isnan(found.low) ? found
                                  : kernels::ValueRange{std::min(whole.low, found.low),
                                                        std::max(whole.high, found.high)};
  });
  return whole;
}

void ScaledQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                  sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = product_shape(options, param);
  plan.keeps_parts();
  plan.workspace(product_workspace(options, float_arithmetic(options), matrix.columns));
}

std::unique_ptr<sdk::Linear> ScaledQuantizer::prepare_linear(const precis_call&,
                                                             const precis_linear_options& options,
                                                             const precis_param& param,
                                                             const sdk::ConstParts& parts,
                                                             const sdk::Parts&) const {
  const sdk::Matrix matrix = product_shape(options, param);
  check_parts(param, parts);
  kernels::LinearWeight weight{};
  weight.arithmetic = float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = scaled_kernel().decode_floats;
  return std::make_unique<Product<kernels::ScaledProduct>>(
      options, weight,
      kernels::ScaledProduct{stored(param, parts), decoded_type(weight.arithmetic)});
}

void ScaledQuantizer::decode(const precis_call&, const precis_param& param,
                             const sdk::ConstParts& parts, sdk::RowRange rows,
                             const precis_tensor& out) const {
  scaled_kernel().dequantize(stored(param, parts), rows.begin, rows.end,
                             weight_type(out.view.dtype), sdk::data<void>(out));
}

}  // namespace precis::plugins
