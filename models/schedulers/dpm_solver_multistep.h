// DPM-Solver++ of first and second order: DPMSolverMultistepScheduler of diffusers 0.42 (Lu et al.
// 2022, arXiv 2211.01095).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace precis::models {

class DpmSolverMultistep {
 public:
  // Error: std::invalid_argument for options of the config that are not supported: algorithms other
  // than dpmsolver++, order 3, thresholding, other sigmas than those of training.
  explicit DpmSolverMultistep(const nlohmann::json& config);

  void set_timesteps(int64_t steps);
  const std::vector<int64_t>& timesteps() const { return timesteps_; }
  // One more than timesteps; the last is 0, or the smallest of training.
  const std::vector<float>& sigmas() const { return sigmas_; }

  // The sample after the next step, in the dtype of `output`; steps are taken in order after
  // set_timesteps(). output: the network's prediction for `sample` at timesteps()[index].
  at::Tensor step(const at::Tensor& output, std::size_t index, const at::Tensor& sample);

 private:
  enum class Prediction { epsilon, sample, v };

  at::Tensor predicted_sample(const at::Tensor& output, std::size_t index,
                              const at::Tensor& sample) const;

  std::vector<float> training_sigmas_;
  int64_t train_timesteps_, usable_timesteps_, steps_offset_, order_;
  std::string spacing_;
  Prediction prediction_;
  bool heun_, lower_order_final_, euler_at_final_, final_sigma_zero_;
  std::vector<int64_t> timesteps_;
  std::vector<float> sigmas_;
  at::Tensor previous_;  // predicted sample of the step before; undefined at the first
};

}  // namespace precis::models
