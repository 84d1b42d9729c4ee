// Layer norms whose shift, scale and gate come from the embedding of the timestep.
#pragma once

#include <vector>

#include "models/layers/linear.h"

namespace precis::models {

// x (1 + scale) + shift. x: [batch, tokens, width]; shift, scale: [batch, width].
at::Tensor modulate(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale);

// x times its gate. gate: [batch, width]; x: [batch, tokens, width].
at::Tensor gated(const at::Tensor& gate, const at::Tensor& x);

// Layer norm of [.., width] without parameters.
at::Tensor plain_layer_norm(const at::Tensor& x, double eps = 1e-6);

// "linear" [parts * width, width] of silu(embedding), in parts. diffusers' AdaLayerNormZero has 6
// (shift, scale, gate of the attention, then of the feed-forward), AdaLayerNormZeroSingle 3,
// SD35AdaLayerNormZeroX 9, AdaLayerNormContinuous 2 (scale before shift).
class Modulation : public torch::nn::Module {
 public:
  Modulation(int64_t width, int64_t parts, bool bias = true);
  // embedding: [batch, width]; gives `parts` tensors of [batch, width].
  std::vector<at::Tensor> operator()(const at::Tensor& embedding);

 private:
  int64_t parts_;
  std::shared_ptr<Linear> linear_;
};

// AdaLayerNormContinuous: the norm before the last projection of a transformer.
class ContinuousNorm : public torch::nn::Module {
 public:
  explicit ContinuousNorm(int64_t width);
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& embedding);

 private:
  std::shared_ptr<Linear> linear_;
};

}  // namespace precis::models
