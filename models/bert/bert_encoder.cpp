#include "models/bert/bert_encoder.h"

#include <string>

#include "models/config.h"
#include "models/layers/activation.h"
#include "models/layers/attention.h"
#include "models/layers/module_path.h"

namespace precis::models {

class BertLayer : public torch::nn::Module {
 public:
  BertLayer(int64_t width, int64_t inner, int64_t heads, double eps, const std::string& act)
      : heads_(heads), activation_(activation(act)) {
    q_ = add<Linear>(*this, "attention.self.query", width, width);
    k_ = add<Linear>(*this, "attention.self.key", width, width);
    v_ = add<Linear>(*this, "attention.self.value", width, width);
    out_ = add<Linear>(*this, "attention.output.dense", width, width);
    attention_norm_ = add<LayerNorm>(*this, "attention.output.LayerNorm", width, eps);
    in_ = add<Linear>(*this, "intermediate.dense", width, inner);
    down_ = add<Linear>(*this, "output.dense", inner, width);
    norm_ = add<LayerNorm>(*this, "output.LayerNorm", width, eps);
  }

  at::Tensor forward(const at::Tensor& input, const at::Tensor& mask) {
    AttentionOptions options;
    options.mask = mask;
    const auto attended =
        attend(split_heads((*q_)(input), heads_), split_heads((*k_)(input), heads_),
               split_heads((*v_)(input), heads_), options);
    const auto x = (*attention_norm_)((*out_)(attended) + input);
    return (*norm_)((*down_)(activation_((*in_)(x))) + x);
  }

 private:
  int64_t heads_;
  Activation activation_;
  std::shared_ptr<Linear> q_, k_, v_, out_, in_, down_;
  std::shared_ptr<LayerNorm> attention_norm_, norm_;
};

BertEncoder::BertEncoder(const nlohmann::json& config) {
  const int64_t width = config_size(config, "hidden_size", 768);
  const int64_t heads = config_size(config, "num_attention_heads", 12);
  const double eps = config_value(config, "layer_norm_eps", 1e-12);
  if (width % heads != 0) {
    throw std::invalid_argument(
        "config.json: 'hidden_size' is no multiple of 'num_attention_heads'");
  }
  const auto kind = config_value<std::string>(config, "position_embedding_type", "absolute");
  if (kind != "absolute") {
    throw std::invalid_argument("config.json: 'position_embedding_type' is '" + kind +
                                "'; only absolute is supported");
  }
  max_length_ = config_size(config, "max_position_embeddings", 512);
  words_ = add<Embedding>(*this, "embeddings.word_embeddings",
                          config_size(config, "vocab_size", 30522), width);
  positions_ = add<Embedding>(*this, "embeddings.position_embeddings", max_length_, width);
  types_ = add<Embedding>(*this, "embeddings.token_type_embeddings",
                          config_size(config, "type_vocab_size", 2), width);
  norm_ = add<LayerNorm>(*this, "embeddings.LayerNorm", width, eps);
  const int64_t inner = config_size(config, "intermediate_size", 3072);
  const auto act = config_value<std::string>(config, "hidden_act", "gelu");
  const int64_t layers = config_size(config, "num_hidden_layers", 12);
  for (int64_t i = 0; i < layers; ++i) {
    layers_.push_back(
        add<BertLayer>(*this, element("encoder.layer", i), width, inner, heads, eps, act));
  }
}

BertEncoder::~BertEncoder() = default;

Activations BertEncoder::enter(const at::Tensor& token_ids, const at::Tensor& attention_mask) {
  const auto positions = at::arange(token_ids.size(1), token_ids.options());
  auto x = (*words_)(token_ids) + (*types_)(at::zeros_like(token_ids)) +
           (*positions_)(positions).unsqueeze(0);
  x = (*norm_)(x);
  return {x, padding_mask(attention_mask, x.scalar_type())};
}

Activations BertEncoder::enter(const at::Tensor& token_ids) {
  return enter(token_ids, at::ones_like(token_ids));
}

std::string BertEncoder::stage_path(std::size_t stage) const {
  return element("encoder.layer", static_cast<int64_t>(stage));
}

void BertEncoder::run_stage(std::size_t stage, Activations& activations) {
  activations[0] = layers_[stage]->forward(activations[0], activations[1]);
}

at::Tensor BertEncoder::forward(const at::Tensor& token_ids, const at::Tensor& attention_mask) {
  Activations activations = enter(token_ids, attention_mask);
  for (std::size_t stage = 0; stage < stage_count(); ++stage) run_stage(stage, activations);
  return activations[0];
}

}  // namespace precis::models
