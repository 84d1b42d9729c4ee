// GPTQ with calibration data: damping, the order of the columns, and the solver on every row.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <numeric>

#include "kernels/cpu/gptq/solver.h"
#include "plugins/gptq/quantizer.h"
#include "plugins/second_moments.h"
#include "plugins/weight_type.h"

namespace precis::gptq {
namespace {

struct AlignedMemory {
  explicit AlignedMemory(uint64_t bytes) : data(std::aligned_alloc(64, (bytes + 63) / 64 * 64)) {
    if (data == nullptr) throw std::bad_alloc();
  }
  ~AlignedMemory() { std::free(data); }
  AlignedMemory(const AlignedMemory&) = delete;
  AlignedMemory& operator=(const AlignedMemory&) = delete;
  void* data;
};

}  // namespace

void GptqQuantizer::plan_calibration(const sdk::CalibrationGroup& group,
                                     sdk::PlanWriter& state) const {
  for (const precis_param* param : group.params) {
    check_writable(*param);
    layout(*param);
  }
  const uint64_t columns = sdk::matrix(*group.params.front()).columns;
  plugins::plan_second_moments(columns, state);
  state.workspace(sizeof(float) * (columns * columns + kernels::inverse_factor_scratch(columns)));
}

void GptqQuantizer::observe(const precis_call& call, const precis_param&,
                            const precis_tensor& activation, const sdk::Parts& state) const {
  plugins::observe_second_moments(call, activation, state);
}

GptqQuantizer::SolvingOrder GptqQuantizer::solving_order(const float* moments,
                                                         const kernels::GptqShape& shape) const {
  const uint64_t columns = shape.columns, size = shape.group_size;
  const auto moment = [&](uint32_t column) { return moments[uint64_t{column} * (columns + 1)]; };
  const auto larger = [&](uint32_t a, uint32_t b) { return moment(a) > moment(b); };
  SolvingOrder result{std::vector<uint32_t>(columns), std::vector<uint32_t>(columns)};
  std::vector<uint32_t>& order = result.order;
  std::iota(order.begin(), order.end(), 0);
  if (config_.columns_in_order_of_activation) {
    std::stable_sort(order.begin(), order.end(), larger);
  } else if (config_.groups_in_order_of_activation && config_.group_size > 0) {
    // Within each group, and the whole groups among each other: the stored form does not change.
    const uint64_t whole = columns / size;
    std::vector<std::vector<uint32_t>> groups(whole);
    for (uint64_t group = 0; group < whole; ++group) {
      auto& members = groups[group];
      members.assign(order.begin() + static_cast<std::ptrdiff_t>(group * size),
                     order.begin() + static_cast<std::ptrdiff_t>((group + 1) * size));
      std::stable_sort(members.begin(), members.end(), larger);
    }
    std::stable_sort(groups.begin(), groups.end(),
                     [&](const auto& a, const auto& b) { return larger(a.front(), b.front()); });
    auto out = order.begin();
    for (const auto& members : groups) out = std::copy(members.begin(), members.end(), out);
  }
  const bool by_place = config_.columns_in_order_of_activation && !config_.static_groups;
  for (uint32_t place = 0; place < columns; ++place)
    result.group_of[place] = static_cast<uint32_t>((by_place ? place : order[place]) / size);
  return result;
}

void GptqQuantizer::finish(const precis_call& call, const sdk::CalibrationGroup& group) const {
  const kernels::GptqShape shape = shape_of(*group.params.front());
  const uint64_t columns = shape.columns;
  const float* moments = plugins::second_moments(group.state, columns);
  const SolvingOrder order = solving_order(moments, shape);
  auto* factor = static_cast<float*>(call.workspace);
  const double damping =
      plugins::damped_inverse_factor(call, moments, order.order, config_.damp_percent, factor);
  for (std::size_t i = 0; i < group.params.size(); ++i) {
    group.errors[i] =
        solve(call, *group.params[i], *group.weights[i], order, factor, damping, group.parts[i]);
  }
}

double GptqQuantizer::solve(const precis_call& call, const precis_param& param,
                            const precis_tensor& weight, const SolvingOrder& order,
                            const float* factor, double damping, const sdk::Parts& parts) const {
  const kernels::GptqShape shape = shape_of(param);
  const void* values = sdk::data<const void>(weight);
  plugins::check_finite(param, values);
  auto* groups = sdk::data<int32_t>(*parts[kGroups]);
  for (uint64_t place = 0; place < shape.columns; ++place)
    groups[order.order[place]] = static_cast<int32_t>(order.group_of[place]);
  const kernels::GptqSolve task{config_.format,
                                config_.symmetric,
                                shape,
                                factor,
                                order.order.data(),
                                order.group_of.data(),
                                config_.static_groups,
                                static_cast<float>(damping)};
  std::mutex mutex;
  double error = 0;
  plugins::host_threads(call)(shape.rows / 32, [&](uint64_t begin, uint64_t end) {
    const AlignedMemory scratch(kernels::gptq_scratch(shape));
    double sum = 0;
    for (uint64_t tile = begin; tile < end; ++tile) {
      sdk::poll(&call, static_cast<double>(tile) / static_cast<double>(shape.rows / 32));
      sum += kernels::gptq_solver_kernels(kernels::current_isa())
                 .solve(plugins::weight_type(param.dtype), values, task, tile * 32, scratch.data,
                        sdk::data<uint32_t>(*parts[kCodes]), sdk::data<uint32_t>(*parts[kZeros]),
                        sdk::data<uint16_t>(*parts[kScales]));
    }
    const std::lock_guard lock(mutex);
    error += sum;
  });
  return error;
}

}  // namespace precis::gptq
