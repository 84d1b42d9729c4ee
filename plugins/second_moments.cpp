#include "plugins/second_moments.h"

#include <cmath>

#include "kernels/cpu/common/numbers.h"
#include "plugins/weight_type.h"

namespace precis::plugins {

using sdk::PluginError;

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
