#include "models/schedulers/ddim.h"

#include <ATen/ATen.h>

#include <cmath>
#include <stdexcept>

#include "models/config.h"
#include "models/schedulers/noise_schedule.h"

namespace precis::models {
namespace {

[[noreturn]] void refuse(const char* key, const std::string& value) {
  throw std::invalid_argument(std::string("scheduler_config.json: '") + key + "' is " + value +
                              ", which is not supported");
}

}  // namespace

Ddim::Ddim(const nlohmann::json& config) : alphas_(alphas_cumprod(config)) {
  if (config_value(config, "thresholding", false)) refuse("thresholding", "true");
  const auto prediction = config_value<std::string>(config, "prediction_type", "epsilon");
  if (prediction == "epsilon") {
    prediction_ = Prediction::epsilon;
  } else if (prediction == "sample") {
    prediction_ = Prediction::sample;
  } else if (prediction == "v_prediction") {
    prediction_ = Prediction::v;
  } else {
    refuse("prediction_type", prediction);
  }
  spacing_ = config_value<std::string>(config, "timestep_spacing", "leading");
  if (spacing_ != "leading" && spacing_ != "trailing" && spacing_ != "linspace")
    refuse("timestep_spacing", spacing_);
  steps_offset_ = config_value<int64_t>(config, "steps_offset", 0);
  final_alpha_ = config_value(config, "set_alpha_to_one", true) ? 1.0F : alphas_.front();
  if (config_value(config, "clip_sample", true))
    clip_ = config_value(config, "clip_sample_range", 1.0);
}

void Ddim::set_timesteps(int64_t steps) {
  const auto trained = static_cast<int64_t>(alphas_.size());
  if (steps > trained) {
    throw std::invalid_argument(std::to_string(steps) + " steps are more than the " +
                                std::to_string(trained) + " of training");
  }
  stride_ = trained / steps;
  timesteps_.clear();
  if (spacing_ == "trailing") {
    const double ratio = static_cast<double>(trained) / static_cast<double>(steps);
    for (int64_t i = 0; i < steps; ++i) {
      const double t = static_cast<double>(trained) - static_cast<double>(i) * ratio;
      timesteps_.push_back(static_cast<int64_t>(std::nearbyint(t)) - 1);
    }
    return;
  }
  const bool linspace = spacing_ == "linspace";
  const auto rising = rounded_linspace(
      0, static_cast<double>(linspace ? trained - 1 : stride_ * (steps - 1)), steps);
  for (auto t = rising.rbegin(); t != rising.rend(); ++t)
    timesteps_.push_back(*t + (linspace ? 0 : steps_offset_));
}

at::Tensor Ddim::step(const at::Tensor& output, std::size_t index, const at::Tensor& sample) const {
  const int64_t now = timesteps_.at(index), next = now - stride_;
  const float alpha = alphas_.at(static_cast<std::size_t>(now));
  const float alpha_next = next >= 0 ? alphas_[static_cast<std::size_t>(next)] : final_alpha_;
  const float signal = std::sqrt(alpha), noise = std::sqrt(1 - alpha);
  at::Tensor image = output, epsilon = output;
  switch (prediction_) {
    case Prediction::epsilon:
      image = (sample - noise * output) / signal;
      break;
    case Prediction::sample:
      epsilon = (sample - signal * output) / noise;
      break;
    case Prediction::v:
      image = signal * sample - noise * output;
      epsilon = signal * output + noise * sample;
      break;
  }
  if (clip_) image = image.clamp(-*clip_, *clip_);
  return std::sqrt(alpha_next) * image + std::sqrt(1 - alpha_next) * epsilon;
}

}  // namespace precis::models
