// Normalisations.
#pragma once

#include <torch/nn/module.h>

namespace precis::models {

// Over the last dimension; parameters "weight" and "bias" [width] when affine.
class LayerNorm : public torch::nn::Module {
 public:
  LayerNorm(int64_t width, double eps, bool affine = true);
  at::Tensor operator()(const at::Tensor& x);

 private:
  int64_t width_;
  double eps_;
  at::Tensor weight_, bias_;
};

// x / sqrt(mean(x^2) + eps) * weight over the last dimension, the mean in float32: T5's norm,
// Llama's norm, and RMSNorm of diffusers 0.42. "weight" [width].
class RmsNorm : public torch::nn::Module {
 public:
  RmsNorm(int64_t width, double eps);
  at::Tensor operator()(const at::Tensor& x);

 private:
  double eps_;
  at::Tensor weight_;
};

// Over groups of channels of [batch, channels, ...]; "weight" and "bias" [channels].
class GroupNorm : public torch::nn::Module {
 public:
  GroupNorm(int64_t groups, int64_t channels, double eps);
  at::Tensor operator()(const at::Tensor& x);

 private:
  int64_t groups_;
  double eps_;
  at::Tensor weight_, bias_;
};

}  // namespace precis::models
