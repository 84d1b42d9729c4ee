#include "models/schedulers/dpm_solver_multistep.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "models/config.h"
#include "models/schedulers/noise_schedule.h"

namespace precis::models {
namespace {

// Signal and noise at a sigma, and half the log of their ratio.
struct Level {
  explicit Level(float sigma_over_alpha)
      : alpha(1 / std::sqrt(sigma_over_alpha * sigma_over_alpha + 1)),
        sigma(sigma_over_alpha * alpha),
        lambda(std::log(alpha) - std::log(sigma)) {}
  float alpha, sigma, lambda;
};

void refuse(const nlohmann::json& config, const char* key) {
  if (config_value(config, key, false)) {
    throw std::invalid_argument(std::string("scheduler_config.json: '") + key +
                                "' is not supported");
  }
}

void require(const nlohmann::json& config, const char* key, const std::string& fallback,
             std::initializer_list<const char*> known) {
  const auto value = config_value(config, key, fallback);
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  throw std::invalid_argument(std::string("scheduler_config.json: '") + key + "' is '" + value +
                              "', which is not supported");
}

}  // namespace

DpmSolverMultistep::DpmSolverMultistep(const nlohmann::json& config) {
  for (const char* key :
       {"thresholding", "use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas",
        "use_lu_lambdas", "use_flow_sigmas", "use_dynamic_shifting"}) {
    refuse(config, key);
  }
  require(config, "algorithm_type", "dpmsolver++", {"dpmsolver++"});
  require(config, "solver_type", "midpoint", {"midpoint", "heun"});
  require(config, "final_sigmas_type", "zero", {"zero", "sigma_min"});
  require(config, "timestep_spacing", "linspace", {"linspace", "leading", "trailing"});
  require(config, "prediction_type", "epsilon", {"epsilon", "sample", "v_prediction"});
  const auto prediction = config_value<std::string>(config, "prediction_type", "epsilon");
  prediction_ = prediction == "epsilon"  ? Prediction::epsilon
                : prediction == "sample" ? Prediction::sample
                                         : Prediction::v;
  order_ = config_size(config, "solver_order", 2);
  if (order_ > 2) {
    throw std::invalid_argument("scheduler_config.json: 'solver_order' above 2 is not supported");
  }
  heun_ = config_value<std::string>(config, "solver_type", "midpoint") == "heun";
  lower_order_final_ = config_value(config, "lower_order_final", true);
  euler_at_final_ = config_value(config, "euler_at_final", false);
  final_sigma_zero_ = config_value<std::string>(config, "final_sigmas_type", "zero") == "zero";
  spacing_ = config_value<std::string>(config, "timestep_spacing", "linspace");
  steps_offset_ = config_value<int64_t>(config, "steps_offset", 0);

  const double least_lambda =
      config_value(config, "lambda_min_clipped", -std::numeric_limits<double>::infinity());
  const auto alphas = alphas_cumprod(config);
  train_timesteps_ = static_cast<int64_t>(alphas.size());
  usable_timesteps_ = train_timesteps_;
  for (const float alpha : alphas) {
    training_sigmas_.push_back(std::sqrt((1 - alpha) / alpha));
    if (-std::log(training_sigmas_.back()) < least_lambda) --usable_timesteps_;
  }
}

void DpmSolverMultistep::set_timesteps(int64_t steps) {
  timesteps_.clear();
  if (spacing_ == "trailing") {
    const double ratio = static_cast<double>(train_timesteps_) / static_cast<double>(steps);
    for (int64_t i = 0; i < steps; ++i) {
      const double t = static_cast<double>(usable_timesteps_) - static_cast<double>(i) * ratio;
      if (t > 0) timesteps_.push_back(static_cast<int64_t>(std::nearbyint(t)) - 1);
    }
  } else {
    const int64_t ratio = usable_timesteps_ / (steps + 1);
    auto rising = spacing_ == "linspace"
                      ? rounded_linspace(0, static_cast<double>(usable_timesteps_ - 1), steps + 1)
                      : rounded_linspace(0, static_cast<double>(ratio * steps), steps + 1);
    timesteps_.assign(rising.rbegin(), rising.rend() - 1);
    if (spacing_ == "leading") {
      for (int64_t& t : timesteps_) t += steps_offset_;
    }
  }
  sigmas_.clear();
  for (const int64_t t : timesteps_) {
    sigmas_.push_back(training_sigmas_[static_cast<std::size_t>(
        std::clamp<int64_t>(t, 0, train_timesteps_ - 1))]);
  }
  sigmas_.push_back(final_sigma_zero_ ? 0.0F : training_sigmas_.front());
  previous_ = at::Tensor();
}

at::Tensor DpmSolverMultistep::predicted_sample(const at::Tensor& output, std::size_t index,
                                                const at::Tensor& sample) const {
  const Level level(sigmas_[index]);
  switch (prediction_) {
    case Prediction::epsilon:
      return (sample - level.sigma * output) / level.alpha;
    case Prediction::v:
      return level.alpha * sample - level.sigma * output;
    case Prediction::sample:
      break;
  }
  return output;
}

at::Tensor DpmSolverMultistep::step(const at::Tensor& output, std::size_t index,
                                    const at::Tensor& sample) {
  const auto current = predicted_sample(output, index, sample);
  const auto x = sample.to(at::kFloat);
  const Level from(sigmas_.at(index)), to(sigmas_.at(index + 1));
  const float h = to.lambda - from.lambda;
  const float decay = to.alpha * (std::exp(-h) - 1);
  auto next = (to.sigma / from.sigma) * x - decay * current;
  const bool few = timesteps_.size() < 15;
  const bool last = index + 1 == timesteps_.size() &&
                    (euler_at_final_ || (lower_order_final_ && few) || final_sigma_zero_);
  if (order_ == 2 && previous_.defined() && !last) {
    const Level before(sigmas_.at(index - 1));
    const float ratio = (from.lambda - before.lambda) / h;
    const auto slope = (1 / ratio) * (current - previous_);
    if (heun_) {
      next = next + (to.alpha * ((std::exp(-h) - 1) / h + 1)) * slope;
    } else {
      next = next - 0.5 * decay * slope;
    }
  }
  previous_ = current;
  return next.to(current.scalar_type());
}

}  // namespace precis::models
