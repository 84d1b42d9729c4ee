// The transformer of PixArt-alpha and PixArt-Sigma: PixArtTransformer2DModel of diffusers 0.42
// (Chen et al. 2023).
#pragma once

#include <torch/nn/module.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "models/denoising_network.h"
#include "models/layers/linear.h"
#include "models/layers/patch_embedding.h"
#include "models/layers/timestep_embedding.h"

namespace precis::models {

class PixArtBlock;

class PixArtTransformer : public torch::nn::Module, public DenoisingNetwork {
 public:
  // Error: std::invalid_argument naming the key of config.json; networks conditioned on resolution
  // and aspect ratio (use_additional_conditions) are not supported.
  explicit PixArtTransformer(const nlohmann::json& config);
  ~PixArtTransformer() override;

  // latents: [batch, in_channels, height, width]; text: [batch, tokens, caption_channels];
  // text_mask: [batch, tokens], 1 for tokens and 0 for padding; timestep: [batch]. Gives the noise
  // and its variance, [batch, out_channels, height, width].
  at::Tensor forward(const at::Tensor& latents, const at::Tensor& text, const at::Tensor& text_mask,
                     const at::Tensor& timestep);

 private:
  // What the blocks hand on.
  enum Slot : std::size_t { kImage, kText, kMask, kModulation, kEmbedding, kLatents };
  std::size_t block_count() const override { return blocks_.size(); }
  std::string block_path(std::size_t block) const override;
  void embed(Activations& activations) override;
  void run_block(std::size_t block, Activations& activations) override;
  void put_out(Activations& activations) override;

  int64_t patch_size_;
  std::shared_ptr<PatchEmbedding> patches_;
  std::shared_ptr<TwoLayerProjection> timestep_, caption_;
  std::shared_ptr<Linear> modulation_, out_;
  std::vector<std::shared_ptr<PixArtBlock>> blocks_;
  at::Tensor out_shift_scale_;
};

}  // namespace precis::models
