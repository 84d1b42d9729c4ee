#include "models/schedulers/noise_schedule.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "models/config.h"

namespace precis::models {
namespace {

// Nichol and Dhariwal 2021, equation 17, as betas of at most 0.999.
at::Tensor cosine_betas(int64_t steps) {
  const auto alpha_bar = [](double t) {
    const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return c * c;
  };
  std::vector<float> betas;
  for (int64_t i = 0; i < steps; ++i) {
    const double begin = static_cast<double>(i) / steps, end = static_cast<double>(i + 1) / steps;
    betas.push_back(static_cast<float>(std::min(1 - alpha_bar(end) / alpha_bar(begin), 0.999)));
  }
  return at::tensor(betas);
}

at::Tensor betas_of(const nlohmann::json& config) {
  const int64_t steps = config_size(config, "num_train_timesteps", 1000);
  const double begin = config_value(config, "beta_start", 0.0001);
  const double end = config_value(config, "beta_end", 0.02);
  const auto kind = config_value<std::string>(config, "beta_schedule", "linear");
  const auto trained = config_value<std::vector<float>>(config, "trained_betas", {});
  if (!trained.empty()) return at::tensor(trained);
  if (kind == "linear") return at::linspace(begin, end, steps, at::kFloat);
  if (kind == "scaled_linear") {
    return at::linspace(std::sqrt(begin), std::sqrt(end), steps, at::kFloat).square();
  }
  if (kind == "squaredcos_cap_v2") return cosine_betas(steps);
  throw std::invalid_argument("scheduler_config.json: 'beta_schedule' is '" + kind +
                              "'; linear, scaled_linear and squaredcos_cap_v2 are supported");
}

}  // namespace

std::vector<float> alphas_cumprod(const nlohmann::json& config) {
  if (config_value(config, "rescale_betas_zero_snr", false)) {
    throw std::invalid_argument("scheduler_config.json: 'rescale_betas_zero_snr' is not supported");
  }
  const auto products = at::cumprod(1.0 - betas_of(config), 0).contiguous();
  const auto* first = products.const_data_ptr<float>();
  return {first, first + products.numel()};
}

std::vector<int64_t> rounded_linspace(double begin, double end, int64_t count) {
  std::vector<int64_t> values;
  const double step = count > 1 ? (end - begin) / static_cast<double>(count - 1) : 0;
  for (int64_t i = 0; i < count; ++i) {
    values.push_back(static_cast<int64_t>(std::nearbyint(begin + static_cast<double>(i) * step)));
  }
  return values;
}

}  // namespace precis::models
