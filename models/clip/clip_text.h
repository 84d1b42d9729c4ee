// CLIP's text encoder: CLIPTextModel and CLIPTextModelWithProjection of transformers 5.23.
#pragma once

#include <torch/nn/module.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "models/layers/embedding.h"
#include "models/layers/linear.h"
#include "models/layers/norm.h"
#include "models/text_network.h"

namespace precis::models {

class ClipLayer;

class ClipText : public torch::nn::Module, public TextNetwork {
 public:
  // with_projection: CLIPTextModelWithProjection, which has text_projection. Error:
  // std::invalid_argument naming the key of `config`.
  ClipText(const nlohmann::json& config, bool with_projection);
  ~ClipText() override;

  struct Output {
    at::Tensor last_hidden_state;  // [batch, tokens, hidden_size], after the final norm
    // The input of the first layer, then the output of every layer; before the final norm.
    std::vector<at::Tensor> hidden_states;
    // The state at the end-of-text token [batch, hidden_size]; projected [batch, projection_dim]
    // with a projection.
    at::Tensor pooled;
  };
  // token_ids: int64 [batch, tokens], at most max_position_embeddings.
  Output forward(const at::Tensor& token_ids);

  // The last stage is everything behind the layers.
  Activations enter(const at::Tensor& token_ids) override;
  std::size_t stage_count() const override { return layers_.size() + 1; }
  std::string stage_path(std::size_t stage) const override;
  void run_stage(std::size_t stage, Activations& activations) override;

 private:
  at::Tensor pooled(const at::Tensor& last_hidden_state, const at::Tensor& token_ids) const;
  at::Tensor end_of_text(const at::Tensor& token_ids) const;

  int64_t eos_token_id_;
  std::shared_ptr<Embedding> tokens_, positions_;
  std::vector<std::shared_ptr<ClipLayer>> layers_;
  std::shared_ptr<LayerNorm> final_norm_;
  std::shared_ptr<Linear> projection_;
};

}  // namespace precis::models
