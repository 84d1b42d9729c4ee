#include "models/layers/timestep_embedding.h"

#include <cmath>

#include "models/layers/module_path.h"

namespace precis::models {
at::Tensor timestep_frequencies(const at::Tensor& timesteps, int64_t width, double scale) {
  const int64_t half = width / 2;
  const auto exponents =
      -std::log(10000.0) * at::arange(half, timesteps.options().dtype(at::kFloat)) / half;
  const auto angles =
      scale * (timesteps.to(at::kFloat).unsqueeze(1) * at::exp(exponents).unsqueeze(0));
  return at::cat({at::cos(angles), at::sin(angles)}, -1);
}

TwoLayerProjection::TwoLayerProjection(int64_t in_features, int64_t hidden, int64_t out_features,
                                       const std::string& activation_name)
    : first_(add<Linear>(*this, "linear_1", in_features, hidden)),
      second_(add<Linear>(*this, "linear_2", hidden, out_features)),
      activation_(activation(activation_name)) {}

TimeTextEmbedding::TimeTextEmbedding(int64_t width, int64_t pooled_width, bool guidance)
    : timestep_(add<TwoLayerProjection>(*this, "timestep_embedder", kTimestepFrequencies, width,
                                        width, "silu")),
      text_(add<TwoLayerProjection>(*this, "text_embedder", pooled_width, width, width, "silu")) {
  if (guidance) {
    guidance_ = add<TwoLayerProjection>(*this, "guidance_embedder", kTimestepFrequencies, width,
                                        width, "silu");
  }
}

at::Tensor TimeTextEmbedding::operator()(const at::Tensor& timestep, const at::Tensor& pooled,
                                         const at::Tensor& guidance) {
  const auto embed = [&](TwoLayerProjection& layer, const at::Tensor& value) {
    return layer(timestep_frequencies(value, kTimestepFrequencies).to(pooled.scalar_type()));
  };
  auto embedding = embed(*timestep_, timestep);
  if (guidance_) embedding = embedding + embed(*guidance_, guidance);
  return embedding + (*text_)(pooled);
}

}  // namespace precis::models
