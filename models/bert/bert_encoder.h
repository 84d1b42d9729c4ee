// BERT and its likes (MiniLM): BertModel of transformers 5.23 (Devlin et al. 2018).
#pragma once

#include <torch/nn/module.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "models/layers/embedding.h"
#include "models/layers/norm.h"
#include "models/text_network.h"

namespace precis::models {

class BertLayer;

class BertEncoder : public torch::nn::Module, public TextNetwork {
 public:
  // The pooler, which sentence encoders do not use, is not made. Error: std::invalid_argument
  // naming the key of config.json.
  explicit BertEncoder(const nlohmann::json& config);
  ~BertEncoder() override;

  int64_t max_length() const { return max_length_; }

  // token_ids: int64 [batch, tokens], at most max_length(); attention_mask: 1 for tokens and 0 for
  // padding. Gives the last hidden state [batch, tokens, hidden_size].
  at::Tensor forward(const at::Tensor& token_ids, const at::Tensor& attention_mask);

  Activations enter(const at::Tensor& token_ids) override;
  std::size_t stage_count() const override { return layers_.size(); }
  std::string stage_path(std::size_t stage) const override;
  void run_stage(std::size_t stage, Activations& activations) override;

 private:
  Activations enter(const at::Tensor& token_ids, const at::Tensor& attention_mask);

  int64_t max_length_;
  std::shared_ptr<Embedding> words_, positions_, types_;
  std::shared_ptr<LayerNorm> norm_;
  std::vector<std::shared_ptr<BertLayer>> layers_;
};

}  // namespace precis::models
