// AQLM with calibration data: k-means whose blocks count by the moments of their columns, then
// refine().
#include <cmath>

#include "plugins/aqlm/quantizer.h"
#include "plugins/aqlm/refine.h"
#include "plugins/second_moments.h"
#include "plugins/weight_type.h"

namespace precis::aqlm {
namespace {

constexpr double kDamping = 0.01;  // of the mean of the diagonal, as GPTQ has it

// Completes the moments in place.
Moments damped(float* moments, uint64_t columns) {
  kernels::mirror_upper(moments, columns);
  double trace = 0;
  for (uint64_t i = 0; i < columns; ++i) trace += moments[i * (columns + 1)];
  const double damping = trace > 0 ? kDamping * trace / static_cast<double>(columns) : 1;
  for (uint64_t i = 0; i < columns; ++i) moments[i * (columns + 1)] += static_cast<float>(damping);
  return {moments, columns, damping};
}

// What the square of an error counts in the columns of each input group.
std::vector<double> importance_of(const Moments& moments, const kernels::AqlmShape& shape) {
  std::vector<double> importance(shape.in_groups());
  for (uint64_t i = 0; i < shape.columns; ++i)
    importance[i / shape.in_group] += moments.diagonal(i);
  return importance;
}

}  // namespace

void AqlmQuantizer::plan_calibration(const sdk::CalibrationGroup& group,
                                     sdk::PlanWriter& state) const {
  uint64_t most = 0;
  for (const precis_param* param : group.params) {
    check_writable(*param);
    most = std::max(most, fit_bytes(shape_of(*param)));
  }
  plugins::plan_second_moments(sdk::matrix(*group.params.front()).columns, state);
  state.workspace(most);
}

void AqlmQuantizer::observe(const precis_call& call, const precis_param&,
                            const precis_tensor& activation, const sdk::Parts& state) const {
  plugins::observe_second_moments(call, activation, state);
}

void AqlmQuantizer::finish(const precis_call& call, const sdk::CalibrationGroup& group) const {
  const uint64_t columns = sdk::matrix(*group.params.front()).columns;
  const Moments moments = damped(plugins::second_moments(group.state, columns), columns);
  for (std::size_t i = 0; i < group.params.size(); ++i) {
    const precis_param& param = *group.params[i];
    const void* weight = sdk::data<const void>(*group.weights[i]);
    const auto type = plugins::weight_type(param.dtype);
    plugins::check_finite(param, weight);
    Fit fit = fit_in(shape_of(param), call.workspace);
    find_codebooks(call, type, weight, importance_of(moments, fit.shape), fit);
    group.errors[i] = refine(call, type, weight, moments, fit);
    store(fit, type, group.parts[i]);
  }
}

}  // namespace precis::aqlm
