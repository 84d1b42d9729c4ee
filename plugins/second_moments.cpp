#include "plugins/second_moments.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/cpu/common/numbers.h"
#include "plugins/weight_type.h"

namespace precis::plugins {

using sdk::PluginError;

namespace {

// GPTQModel's step where the damped moments are still not positive definite.
constexpr double kDampStep = 0.01;

// Channels that nothing ever reached have no say: 1 stands in for their moment.
std::vector<double> live_diagonal(const float* moments, uint64_t columns) {
  std::vector<double> diagonal(columns);
  for (uint64_t i = 0; i < columns; ++i) {
    const double moment = moments[i * columns + i];
    diagonal[i] = moment > 0 ? moment : 1;
  }
  return diagonal;
}

// The damped moments in reversed solving order, as kernels::inverse_factor takes them.
void arrange(const float* moments, uint64_t columns, const std::vector<uint32_t>& order,
             const std::vector<double>& diagonal, double damping,
             const kernels::ParallelFor& parallel_for, float* out) {
  parallel_for(columns, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      const uint64_t row = order[columns - 1 - i];
      out[i * columns + i] = static_cast<float>(diagonal[row] + damping);
      for (uint64_t j = i + 1; j < columns; ++j) {
        const uint64_t column = order[columns - 1 - j];
        out[i * columns + j] = moments[std::min(row, column) * columns + std::max(row, column)];
      }
    }
  });
}

}  // namespace

kernels::ParallelFor host_threads(const precis_call& call) {
  return [&call](uint64_t n, const kernels::Pieces& body) {
    sdk::poll(&call, 0);
    sdk::Host::get().parallel_for(n, 1, [&](uint64_t begin, uint64_t end) { body(begin, end); });
  };
}

void plan_second_moments(uint64_t columns, sdk::PlanWriter& state) {
  const auto size = static_cast<int64_t>(columns);
  state.add_numbers("second_moments", sdk::kFloat32, {size, size});
  state.add_numbers("rows", sdk::kInt64, {1});
}

void observe_second_moments(const precis_call& call, const precis_tensor& activation,
                            const sdk::Parts& state) {
  const auto rows = static_cast<uint64_t>(activation.view.shape[0]);
  const auto columns = static_cast<uint64_t>(activation.view.shape[1]);
  const void* values = sdk::data<const void>(activation);
  std::vector<float> converted;
  const float* x = nullptr;
  kernels::with_type(weight_type(activation.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    const auto* stored = static_cast<const typename Type::Stored*>(values);
    if constexpr (std::is_same_v<typename Type::Stored, float>) {
      x = stored;
    } else {
      converted.resize(rows * columns);
      for (uint64_t i = 0; i < rows * columns; ++i) converted[i] = Type::load(stored, i);
      x = converted.data();
    }
  });
  if (!kernels::all_finite(x, rows * columns)) {
    throw PluginError(PRECIS_DATA_LOSS,
                      "an activation of the calibration has NaN or infinite values");
  }
  kernels::add_second_moments(x, rows, columns, sdk::data<float>(*state[kMoments]),
                              host_threads(call));
  *sdk::data<int64_t>(*state[kObservedRows]) += static_cast<int64_t>(rows);
}

float* second_moments(const sdk::Parts& state, uint64_t columns) {
  if (*sdk::data<const int64_t>(*state[kObservedRows]) == 0)
    throw PluginError(PRECIS_FAILED_PRECONDITION, "no calibration data reached the layer");
  auto* moments = sdk::data<float>(*state[kMoments]);
  for (uint64_t i = 0; i < columns; ++i) {
    if (std::isfinite(moments[i * columns + i])) continue;
    throw PluginError(PRECIS_DATA_LOSS,
                      "the activations of the calibration are too large to be squared and summed");
  }
  return moments;
}

double damped_inverse_factor(const precis_call& call, const float* moments,
                             const std::vector<uint32_t>& order, double percent, float* factor) {
  const uint64_t columns = order.size();
  const std::vector<double> diagonal = live_diagonal(moments, columns);
  const double mean =
      std::accumulate(diagonal.begin(), diagonal.end(), 0.0) / static_cast<double>(columns);
  const auto threads = host_threads(call);
  for (;; percent += kDampStep) {
    if (percent >= 1) {
      throw PluginError(PRECIS_DATA_LOSS,
                        "the second moments of the activations are not positive definite with any "
                        "damping below 1");
    }
    arrange(moments, columns, order, diagonal, percent * mean, threads, factor);
    if (kernels::inverse_factor(factor, columns, factor + columns * columns, threads))
      return percent * mean;
  }
}

void check_finite(const precis_param& param, const void* values) {
  const uint64_t count = sdk::matrix(param).elements();
  kernels::with_type(weight_type(param.dtype), [&](auto tag) {
    using Type = decltype(tag);
    const auto* stored = static_cast<const typename Type::Stored*>(values);
    for (uint64_t i = 0; i < count; ++i) {
      if (std::isfinite(Type::load(stored, i))) continue;
      throw PluginError(PRECIS_DATA_LOSS, "the weight '" + std::string(sdk::view(param.name)) +
                                              "' has NaN or infinite values");
    }
  });
}

}  // namespace precis::plugins
