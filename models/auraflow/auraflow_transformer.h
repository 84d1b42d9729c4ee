// The transformer of AuraFlow: AuraFlowTransformer2DModel of diffusers 0.42.
#pragma once

#include <torch/nn/module.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "models/denoising_network.h"
#include "models/layers/adaptive_norm.h"
#include "models/layers/linear.h"
#include "models/layers/timestep_embedding.h"

namespace precis::models {

class AuraFlowBlock;
class AuraFlowSingleBlock;

class AuraFlowTransformer : public torch::nn::Module, public DenoisingNetwork {
 public:
  // Error: std::invalid_argument naming the key of config.json.
  explicit AuraFlowTransformer(const nlohmann::json& config);
  ~AuraFlowTransformer() override;

  // latents: [batch, in_channels, height, width], sides multiples of patch_size; text: [batch,
  // tokens, joint_attention_dim]; timestep: [batch], 0 to 1. Gives the velocity, [batch,
  // out_channels, height, width]. Error: std::invalid_argument for an image larger than the
  // positions of the checkpoint.
  at::Tensor forward(const at::Tensor& latents, const at::Tensor& text, const at::Tensor& timestep);

 private:
  // What the blocks hand on; the image is in one tensor with the text in front from the first
  // single block on.
  enum Slot : std::size_t { kImage, kText, kEmbedding, kLatents };
  std::size_t block_count() const override { return blocks_.size() + single_blocks_.size(); }
  std::string block_path(std::size_t block) const override;
  void embed(Activations& activations) override;
  void run_block(std::size_t block, Activations& activations) override;
  void put_out(Activations& activations) override;

  at::Tensor embed_patches(const at::Tensor& latents) const;

  int64_t patch_size_, position_side_;
  std::shared_ptr<Linear> patches_, context_, modulation_out_, out_;
  std::shared_ptr<TwoLayerProjection> timestep_;
  std::vector<std::shared_ptr<AuraFlowBlock>> blocks_;
  std::vector<std::shared_ptr<AuraFlowSingleBlock>> single_blocks_;
  at::Tensor positions_, register_tokens_;
};

}  // namespace precis::models
