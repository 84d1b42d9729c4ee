// AWQ with calibration data: scales of the input channels, clipping, and the encoding of both.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <mutex>

#include "kernels/cpu/awq/search.h"
#include "plugins/awq/quantizer.h"
#include "plugins/second_moments.h"
#include "plugins/weight_type.h"

namespace precis::awq {
namespace {

using sdk::PluginError;

constexpr std::size_t kMagnitudes = 2;  // in the state, behind the second moments
constexpr int kRatios = 20;             // of AutoAWQ's grid

// Clipping queries and keys hurts attention (AutoAWQ, _search_best_clip).
bool may_clip(std::string_view name) {
  for (const std::string_view part : {"q_", "k_", "query", "key", "Wqkv"}) {
    if (name.find(part) != std::string_view::npos) return false;
  }
  return true;
}

const kernels::AwqSearchKernels& kernel() {
  return kernels::awq_search_kernels(kernels::current_isa());
}

// Calls body(first row, rows, scratch) for the rows of a weight, a few together, and sums what it
// gives.
template <typename Body>
double sum_over_rows(const precis_call& call, const kernels::AwqShape& shape, Body body) {
  const uint64_t together = kernels::kAwqSearchRows;
  std::mutex mutex;
  double total = 0;
  plugins::host_threads(call)(
      (shape.rows + together - 1) / together, [&](uint64_t begin, uint64_t end) {
        const uint64_t bytes = (kernels::awq_search_scratch(shape) + 63) / 64 * 64;
        const std::unique_ptr<void, decltype(&std::free)> scratch(std::aligned_alloc(64, bytes),
                                                                  &std::free);
        if (scratch == nullptr) throw std::bad_alloc();
        double sum = 0;
        for (uint64_t tile = begin; tile < end; ++tile) {
          sdk::poll(&call, 0);
          const uint64_t row = tile * together;
          sum += body(row, std::min(together, shape.rows - row), scratch.get());
        }
        const std::lock_guard lock(mutex);
        total += sum;
      });
  return total;
}

// Mean over the rows of all weights of |w| as a share of the largest of its group.
std::vector<double> mean_shares(const std::vector<kernels::AwqSearch>& searches) {
  const uint64_t columns = searches.front().shape.columns, size = searches.front().shape.group_size;
  std::vector<double> shares(columns, 0);
  uint64_t rows = 0;
  for (const kernels::AwqSearch& search : searches) {
    kernels::with_type(search.type, [&](auto tag) {
      using Type = decltype(tag);
      const auto* weight = static_cast<const typename Type::Stored*>(search.weight);
      for (uint64_t row = 0; row < search.shape.rows; ++row) {
        for (uint64_t begin = 0; begin < columns; begin += size) {
          float largest = 0;
          for (uint64_t i = begin; i < begin + size; ++i)
            largest = std::max(largest, std::abs(Type::load(weight, row * columns + i)));
          for (uint64_t i = begin; i < begin + size; ++i)
            shares[i] += std::abs(Type::load(weight, row * columns + i)) / (largest + 1e-6f);
        }
      }
    });
    rows += search.shape.rows;
  }
  for (double& share : shares) share /= static_cast<double>(rows);
  return shares;
}

// AutoAWQ's scales for one ratio ("duo scaling").
std::vector<float> scales_of(const std::vector<double>& magnitudes,
                             const std::vector<double>& shares, double ratio) {
  std::vector<double> scales(magnitudes.size());
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const double scale = std::pow(magnitudes[i], ratio) / (std::pow(shares[i], 1 - ratio) + 1e-4);
    scales[i] = std::max(scale, 1e-4);
  }
  const auto [least, largest] = std::minmax_element(scales.begin(), scales.end());
  const double middle = std::sqrt(*least * *largest);
  std::vector<float> result;
  for (const double scale : scales) {
    const double quotient = scale / middle;
    result.push_back(std::isfinite(quotient) && quotient > 0 ? static_cast<float>(quotient) : 1);
  }
  return result;
}

}  // namespace

void AwqQuantizer::plan_calibration(const sdk::CalibrationGroup& group,
                                    sdk::PlanWriter& state) const {
  for (const precis_param* param : group.params) {
    check_writable(*param);
    layout(*param);
  }
  const uint64_t columns = sdk::matrix(*group.params.front()).columns;
  plugins::plan_second_moments(columns, state);
  state.add_numbers("magnitudes", sdk::kFloat32, {static_cast<int64_t>(columns)});
  state.scales_activation();
}

void AwqQuantizer::observe(const precis_call& call, const precis_param&,
                           const precis_tensor& activation, const sdk::Parts& state) const {
  plugins::observe_second_moments(call, activation, state);
  const auto rows = static_cast<uint64_t>(activation.view.shape[0]);
  const auto columns = static_cast<uint64_t>(activation.view.shape[1]);
  auto* magnitudes = sdk::data<float>(*state[kMagnitudes]);
  std::vector<double> sums(columns, 0);
  kernels::with_type(plugins::weight_type(activation.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = sdk::data<const typename Type::Stored>(activation);
    for (uint64_t row = 0; row < rows; ++row) {
      for (uint64_t i = 0; i < columns; ++i)
        sums[i] += std::abs(Type::load(values, row * columns + i));
    }
  });
  for (uint64_t i = 0; i < columns; ++i) magnitudes[i] += static_cast<float>(sums[i]);
}

std::vector<float> AwqQuantizer::search_scales(const precis_call& call,
                                               const std::vector<kernels::AwqSearch>& searches,
                                               const sdk::CalibrationGroup& group) const {
  const uint64_t columns = searches.front().shape.columns;
  std::vector<float> best(columns, 1);
  if (group.scales == nullptr) return best;
  const auto loss = [&](const std::vector<float>& scales) {
    double sum = 0;
    for (const kernels::AwqSearch& search : searches) {
      sum += sum_over_rows(call, search.shape, [&](uint64_t row, uint64_t rows, void* scratch) {
        return kernel().loss(search, scales.data(), row, rows, scratch);
      });
    }
    return sum;
  };
  const auto rows =
      static_cast<double>(*sdk::data<const int64_t>(*group.state[plugins::kObservedRows]));
  const auto* sums = sdk::data<const float>(*group.state[kMagnitudes]);
  std::vector<double> magnitudes;
  for (uint64_t i = 0; i < columns; ++i) magnitudes.push_back(sums[i] / rows);
  const std::vector<double> shares = mean_shares(searches);
  double least = loss(best);
  for (int step = 0; step < kRatios; ++step) {
    std::vector<float> scales = scales_of(magnitudes, shares, step / double{kRatios});
    const double lost = loss(scales);
    if (!(lost < least)) continue;
    least = lost;
    best = std::move(scales);
  }
  std::copy(best.begin(), best.end(), sdk::data<float>(*group.scales));
  return best;
}

void AwqQuantizer::finish(const precis_call& call, const sdk::CalibrationGroup& group) const {
  const uint64_t columns = shape_of(*group.params.front()).columns;
  float* moments = plugins::second_moments(group.state, columns);
  kernels::mirror_upper(moments, columns);
  std::vector<kernels::AwqSearch> searches;
  for (std::size_t i = 0; i < group.params.size(); ++i) {
    const precis_param& param = *group.params[i];
    const void* weight = sdk::data<const void>(*group.weights[i]);
    plugins::check_finite(param, weight);
    searches.push_back({plugins::weight_type(param.dtype), weight, shape_of(param), moments});
  }
  const std::vector<float> scales = search_scales(call, searches, group);
  for (std::size_t i = 0; i < group.params.size(); ++i)
    group.errors[i] = encode_searched(call, *group.params[i], searches[i], scales, group.parts[i]);
}

double AwqQuantizer::encode_searched(const precis_call& call, const precis_param& param,
                                     const kernels::AwqSearch& search,
                                     const std::vector<float>& scales,
                                     const sdk::Parts& parts) const {
  const kernels::AwqShape shape = search.shape;
  const bool clip = may_clip(sdk::view(param.name));
  std::vector<float> chosen(shape.rows * shape.columns);
  sum_over_rows(call, shape, [&](uint64_t row, uint64_t rows, void* scratch) {
    kernel().scale_and_clip(search, scales.data(), clip, row, rows, scratch,
                            chosen.data() + row * shape.columns);
    return 0.0;
  });
  encode_numbers(call, param, kernels::WeightType::f32, chosen.data(), parts);
  const sdk::ConstParts stored(parts.begin(), parts.end());
  return sum_over_rows(call, shape, [&](uint64_t row, uint64_t rows, void* scratch) {
    float* decoded = chosen.data() + row * shape.columns;
    decode_numbers(param, stored, {row, row + rows}, kernels::WeightType::f32, decoded);
    return kernel().decoded_loss(search, scales.data(), decoded, row, rows, scratch);
  });
}

}  // namespace precis::awq
