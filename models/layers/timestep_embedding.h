// Embeddings of the timestep and of the pooled text.
#pragma once

#include <string>

#include "models/layers/activation.h"
#include "models/layers/linear.h"

namespace precis::models {

// Width of timestep_frequencies() in every network here.
inline constexpr int64_t kTimestepFrequencies = 256;

// [cos(t f_i), sin(t f_i)] with f_i = 10000^(-i / (width / 2)): Timesteps(flip_sin_to_cos=True,
// downscale_freq_shift=0) of diffusers 0.42. timesteps: [batch]; scale: multiplies the angles;
// gives float32 [batch, width].
at::Tensor timestep_frequencies(const at::Tensor& timesteps, int64_t width, double scale = 1.0);

// linear_1, activation, linear_2: diffusers' TimestepEmbedding and PixArtAlphaTextProjection.
class TwoLayerProjection : public torch::nn::Module {
 public:
  TwoLayerProjection(int64_t in_features, int64_t hidden, int64_t out_features,
                     const std::string& activation_name);
  at::Tensor operator()(const at::Tensor& x) { return (*second_)(activation_((*first_)(x))); }

 private:
  std::shared_ptr<Linear> first_, second_;
  Activation activation_;
};

// Timestep, pooled text and, for distilled networks, the guidance in one embedding: diffusers'
// CombinedTimestepTextProjEmbeddings and CombinedTimestepGuidanceTextProjEmbeddings.
class TimeTextEmbedding : public torch::nn::Module {
 public:
  TimeTextEmbedding(int64_t width, int64_t pooled_width, bool guidance = false);
  // timestep, guidance: [batch], guidance undefined without it; pooled: [batch, pooled_width].
  at::Tensor operator()(const at::Tensor& timestep, const at::Tensor& pooled,
                        const at::Tensor& guidance = {});

 private:
  std::shared_ptr<TwoLayerProjection> timestep_, guidance_, text_;
};

}  // namespace precis::models
