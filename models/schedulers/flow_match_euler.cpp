#include "models/schedulers/flow_match_euler.h"

#include <ATen/ATen.h>

#include <cmath>
#include <stdexcept>
#include <string>

#include "models/config.h"

namespace precis::models {
namespace {

double shifted(double shift, double sigma) {
  return shift * sigma / (1 + (shift - 1) * sigma);
}

}  // namespace

FlowMatchEuler::FlowMatchEuler(const nlohmann::json& config) {
  for (const char* key : {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas",
                          "stochastic_sampling", "invert_sigmas"}) {
    if (config_value(config, key, false)) {
      throw std::invalid_argument(std::string("scheduler_config.json: '") + key +
                                  "' is not supported");
    }
  }
  train_timesteps_ = static_cast<double>(config_size(config, "num_train_timesteps", 1000));
  shift_ = config_value(config, "shift", 1.0);
  dynamic_shifting_ = config_value(config, "use_dynamic_shifting", false);
  exponential_shift_ =
      config_value<std::string>(config, "time_shift_type", "exponential") == "exponential";
  base_tokens_ = config_value(config, "base_image_seq_len", 256.0);
  max_tokens_ = config_value(config, "max_image_seq_len", 4096.0);
  base_shift_ = config_value(config, "base_shift", 0.5);
  max_shift_ = config_value(config, "max_shift", 1.15);
  const double terminal = config_value(config, "shift_terminal", 0.0);
  if (terminal != 0.0) shift_terminal_ = terminal;
}

double FlowMatchEuler::dynamic_shift(int64_t image_tokens) const {
  const double slope = (max_shift_ - base_shift_) / (max_tokens_ - base_tokens_);
  return static_cast<double>(image_tokens) * slope + (base_shift_ - slope * base_tokens_);
}

void FlowMatchEuler::set_timesteps(int64_t steps, std::optional<double> mu,
                                   std::optional<std::vector<double>> given) {
  if (dynamic_shifting_ && !mu) {
    throw std::invalid_argument("the scheduler shifts by image size: mu is needed");
  }
  std::vector<double> sigmas;
  if (given) {
    // The library rounds given levels to float32 and shifts them in that precision.
    for (const double sigma : *given) sigmas.push_back(static_cast<float>(sigma));
  } else {
    // The ends are the shifted ends of training, so the static shift applies to them twice.
    const auto end = [&](double sigma) {
      const auto plain = static_cast<float>(sigma);
      const auto shift = static_cast<float>(shift_);
      return dynamic_shifting_ ? plain : shift * plain / (1 + (shift - 1) * plain);
    };
    const double first = end(1.0) * train_timesteps_;
    const double last = end(1.0 / train_timesteps_) * train_timesteps_;
    for (int64_t i = 0; i < steps; ++i) {
      const double fraction = steps == 1 ? 0.0 : static_cast<double>(i) / (steps - 1);
      sigmas.push_back((first + (last - first) * fraction) / train_timesteps_);
    }
  }
  for (double& sigma : sigmas) {
    if (!dynamic_shifting_) {
      sigma = shifted(shift_, sigma);
    } else {
      const double factor = exponential_shift_ ? std::exp(*mu) : *mu;
      sigma = factor / (factor + (1 / sigma - 1));
    }
  }
  if (shift_terminal_ && !sigmas.empty()) {
    const double scale = (1 - sigmas.back()) / (1 - *shift_terminal_);
    for (double& sigma : sigmas) sigma = 1 - (1 - sigma) / scale;
  }
  sigmas_.assign(sigmas.begin(), sigmas.end());
  timesteps_.clear();
  for (const float sigma : sigmas_) {
    timesteps_.push_back(sigma * static_cast<float>(train_timesteps_));
  }
  sigmas_.push_back(0.0F);
}

at::Tensor FlowMatchEuler::step(const at::Tensor& velocity, std::size_t index,
                                const at::Tensor& sample) const {
  const float distance = sigmas_.at(index + 1) - sigmas_.at(index);
  return (sample.to(at::kFloat) + distance * velocity).to(velocity.scalar_type());
}

}  // namespace precis::models
