// The transformer of Flux: FluxTransformer2DModel of diffusers 0.42.
#pragma once

#include <torch/nn/module.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "models/denoising_network.h"
#include "models/layers/adaptive_norm.h"
#include "models/layers/linear.h"
#include "models/layers/timestep_embedding.h"

namespace precis::models {

class FluxBlock;
class FluxSingleBlock;

class FluxTransformer : public torch::nn::Module, public DenoisingNetwork {
 public:
  // Error: std::invalid_argument naming the key of config.json.
  explicit FluxTransformer(const nlohmann::json& config);
  ~FluxTransformer() override;

  // True for guidance-distilled networks, which take the guidance scale as an input.
  bool guidance_embedded() const { return guidance_embedded_; }

  struct Input {
    at::Tensor latents;   // packed 2 x 2 patches, [batch, image_tokens, in_channels]
    at::Tensor text;      // [batch, text_tokens, joint_attention_dim]
    at::Tensor pooled;    // [batch, pooled_projection_dim]
    at::Tensor timestep;  // [batch], 0 to 1
    at::Tensor guidance;  // [batch]; undefined unless guidance_embedded()
    at::Tensor image_positions, text_positions;  // [tokens, 3]
  };
  // Gives the velocity, [batch, image_tokens, out_channels].
  at::Tensor forward(const Input& input);

 private:
  // What the blocks hand on; the image is in one tensor with the text in front from the first
  // single block on.
  enum Slot : std::size_t { kImage, kText, kEmbedding, kCos, kSin, kLatents };
  std::size_t block_count() const override { return blocks_.size() + single_blocks_.size(); }
  std::string block_path(std::size_t block) const override;
  void embed(Activations& activations) override;
  void run_block(std::size_t block, Activations& activations) override;
  void put_out(Activations& activations) override;

  bool guidance_embedded_;
  std::vector<int64_t> axes_;
  std::shared_ptr<TimeTextEmbedding> time_text_;
  std::shared_ptr<Linear> context_, in_, out_;
  std::vector<std::shared_ptr<FluxBlock>> blocks_;
  std::vector<std::shared_ptr<FluxSingleBlock>> single_blocks_;
  std::shared_ptr<ContinuousNorm> norm_out_;
};

}  // namespace precis::models
