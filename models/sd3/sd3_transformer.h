// The transformer of Stable Diffusion 3 and 3.5: SD3Transformer2DModel of diffusers 0.42 (Esser et
// al. 2024).
#pragma once

#include <torch/nn/module.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "models/denoising_network.h"
#include "models/layers/adaptive_norm.h"
#include "models/layers/linear.h"
#include "models/layers/patch_embedding.h"
#include "models/layers/timestep_embedding.h"

namespace precis::models {

class Sd3Block;

class Sd3Transformer : public torch::nn::Module, public DenoisingNetwork {
 public:
  // Error: std::invalid_argument naming the key of config.json.
  explicit Sd3Transformer(const nlohmann::json& config);
  ~Sd3Transformer() override;

  // latents: [batch, in_channels, height, width], sides multiples of patch_size; text: [batch,
  // tokens, joint_attention_dim]; pooled: [batch, pooled_projection_dim]; timestep: [batch], 0 to
  // 1000. Gives the velocity, [batch, out_channels, height, width].
  at::Tensor forward(const at::Tensor& latents, const at::Tensor& text, const at::Tensor& pooled,
                     const at::Tensor& timestep);

 private:
  // What the blocks hand on.
  enum Slot : std::size_t { kImage, kText, kEmbedding, kLatents };
  std::size_t block_count() const override { return blocks_.size(); }
  std::string block_path(std::size_t block) const override;
  void embed(Activations& activations) override;
  void run_block(std::size_t block, Activations& activations) override;
  void put_out(Activations& activations) override;

  int64_t patch_size_;
  std::shared_ptr<PatchEmbedding> patches_;
  std::shared_ptr<TimeTextEmbedding> time_text_;
  std::shared_ptr<Linear> context_, out_;
  std::vector<std::shared_ptr<Sd3Block>> blocks_;
  std::shared_ptr<ContinuousNorm> norm_out_;
};

}  // namespace precis::models
