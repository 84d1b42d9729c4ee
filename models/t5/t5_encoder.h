// The encoder of T5 v1.0, v1.1 and UMT5: T5EncoderModel and UMT5EncoderModel of transformers 5.23.
#pragma once

#include <torch/nn/module.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "models/layers/embedding.h"
#include "models/layers/norm.h"
#include "models/text_network.h"

namespace precis::models {

class T5Block;

class T5Encoder : public torch::nn::Module, public TextNetwork {
 public:
  // config: config.json of the model. UMT5 (model_type "umt5") has a relative attention bias in
  // every block, T5 in the first only. Error: std::invalid_argument naming the key.
  explicit T5Encoder(const nlohmann::json& config);
  ~T5Encoder() override;

  // token_ids: int64 [batch, tokens]; attention_mask: 1 for tokens and 0 for padding, undefined:
  // all are tokens. Gives the last hidden state [batch, tokens, d_model].
  at::Tensor forward(const at::Tensor& token_ids, const at::Tensor& attention_mask = {});

  Activations enter(const at::Tensor& token_ids) override;
  std::size_t stage_count() const override { return blocks_.size(); }
  std::string stage_path(std::size_t stage) const override;
  void run_stage(std::size_t stage, Activations& activations) override;

 private:
  std::shared_ptr<Embedding> embedding_;
  std::vector<std::shared_ptr<T5Block>> blocks_;
  std::shared_ptr<RmsNorm> final_norm_;
};

}  // namespace precis::models
