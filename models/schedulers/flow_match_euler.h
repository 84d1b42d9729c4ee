// Euler steps along the flow from noise to image: FlowMatchEulerDiscreteScheduler of diffusers 0.42
// (Esser et al. 2024).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace precis::models {

class FlowMatchEuler {
 public:
  // config: scheduler_config.json. Error: std::invalid_argument for options that are not supported
  // (Karras, exponential and beta sigmas, stochastic sampling).
  explicit FlowMatchEuler(const nlohmann::json& config);

  bool dynamic_shifting() const { return dynamic_shifting_; }
  // The exponent of the shift for an image of this many tokens, linear between the base and the
  // largest number of tokens of the config.
  double dynamic_shift(int64_t image_tokens) const;

  // Prepares `steps` steps. mu: dynamic_shift(), needed with dynamic shifting only. sigmas: noise
  // levels to start from instead of the default ones; before shifting.
  void set_timesteps(int64_t steps, std::optional<double> mu = {},
                     std::optional<std::vector<double>> sigmas = {});
  // 0 to num_train_timesteps, one for each step, falling.
  const std::vector<float>& timesteps() const { return timesteps_; }
  // One more than timesteps; the last is 0.
  const std::vector<float>& sigmas() const { return sigmas_; }

  // The sample after step `index`, in the dtype of `velocity`, computed in float32.
  at::Tensor step(const at::Tensor& velocity, std::size_t index, const at::Tensor& sample) const;

 private:
  double train_timesteps_, shift_;
  bool dynamic_shifting_, exponential_shift_;
  std::optional<double> shift_terminal_;
  double base_tokens_, max_tokens_, base_shift_, max_shift_;
  std::vector<float> timesteps_, sigmas_;
};

}  // namespace precis::models
