// Denoising diffusion implicit models: DDIMScheduler of diffusers 0.42 without added noise (Song et
// al. 2020, arXiv 2010.02502, equation 12 with eta 0).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace precis::models {

class Ddim {
 public:
  // config: scheduler_config.json. Error: std::invalid_argument for what is not supported:
  // thresholding, betas rescaled to zero terminal signal.
  explicit Ddim(const nlohmann::json& config);

  // Error: std::invalid_argument for more steps than there were in training.
  void set_timesteps(int64_t steps);
  const std::vector<int64_t>& timesteps() const { return timesteps_; }

  // The sample after step `index`. output: the network's prediction for `sample` at
  // timesteps()[index].
  at::Tensor step(const at::Tensor& output, std::size_t index, const at::Tensor& sample) const;

 private:
  enum class Prediction { epsilon, sample, v };

  std::vector<float> alphas_;
  float final_alpha_;
  int64_t steps_offset_;
  std::string spacing_;
  Prediction prediction_;
  std::optional<double> clip_;  // largest absolute value of the predicted image
  std::vector<int64_t> timesteps_;
  int64_t stride_ = 0;  // timesteps of training between two steps
};

}  // namespace precis::models
