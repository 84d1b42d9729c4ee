// Llama and models of its shape: LlamaForCausalLM of transformers 5.23.
#pragma once

#include <torch/nn/module.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "models/layers/embedding.h"
#include "models/layers/linear.h"
#include "models/layers/norm.h"
#include "models/text_network.h"

namespace precis::models {

class LlamaBlock;

// Keys and values of the tokens that a decoder has seen, [batch, key_value_heads, tokens, head_dim]
// for each block. Of one sequence; not for several threads at once.
struct KeyValueCache {
  std::vector<std::pair<at::Tensor, at::Tensor>> blocks;
  int64_t tokens() const { return blocks.empty() ? 0 : blocks.front().first.size(2); }
};

class LlamaDecoder : public torch::nn::Module, public TextNetwork {
 public:
  // config: config.json of the model. Error: std::invalid_argument naming the key, also for rotary
  // embeddings other than default, linear and llama3.
  explicit LlamaDecoder(const nlohmann::json& config);
  ~LlamaDecoder() override;

  // token_ids: int64 [batch, tokens], after those of `cache`, which takes their keys and values up;
  // null: there are none before and none are kept. Gives logits [batch, tokens, vocab_size].
  at::Tensor forward(const at::Tensor& token_ids, KeyValueCache* cache = nullptr);

  // The last stage is the head.
  Activations enter(const at::Tensor& token_ids) override;
  std::size_t stage_count() const override { return blocks_.size() + 1; }
  std::string stage_path(std::size_t stage) const override;
  void run_stage(std::size_t stage, Activations& activations) override;

 private:
  at::Tensor logits(const at::Tensor& x) const;
  // Cosines and sines [tokens, head_dim] of the positions from `before` on.
  std::pair<at::Tensor, at::Tensor> rotations(int64_t before, int64_t tokens,
                                              const at::TensorOptions& like) const;

  std::shared_ptr<Embedding> embedding_;
  std::vector<std::shared_ptr<LlamaBlock>> blocks_;
  std::shared_ptr<RmsNorm> norm_;
  std::shared_ptr<Linear> head_;  // null: the embedding's weight serves
  at::Tensor frequencies_;        // float32 [head_dim / 2], of the rotary embedding
};

}  // namespace precis::models
