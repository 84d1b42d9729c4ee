#include "models/clip/clip_text.h"

#include <string>

#include "models/config.h"
#include "models/layers/activation.h"
#include "models/layers/attention.h"
#include "models/layers/module_path.h"

namespace precis::models {

class ClipLayer : public torch::nn::Module {
 public:
  ClipLayer(int64_t width, int64_t inner, int64_t heads, double eps, const std::string& act)
      : heads_(heads), activation_(activation(act)) {
    norm1_ = add<LayerNorm>(*this, "layer_norm1", width, eps);
    q_ = add<Linear>(*this, "self_attn.q_proj", width, width);
    k_ = add<Linear>(*this, "self_attn.k_proj", width, width);
    v_ = add<Linear>(*this, "self_attn.v_proj", width, width);
    out_ = add<Linear>(*this, "self_attn.out_proj", width, width);
    norm2_ = add<LayerNorm>(*this, "layer_norm2", width, eps);
    fc1_ = add<Linear>(*this, "mlp.fc1", width, inner);
    fc2_ = add<Linear>(*this, "mlp.fc2", inner, width);
  }

  at::Tensor forward(const at::Tensor& input) {
    AttentionOptions options;
    options.causal = true;
    const auto normed = (*norm1_)(input);
    const auto x = input + (*out_)(attend(split_heads((*q_)(normed), heads_),
                                          split_heads((*k_)(normed), heads_),
                                          split_heads((*v_)(normed), heads_), options));
    return x + (*fc2_)(activation_((*fc1_)((*norm2_)(x))));
  }

 private:
  int64_t heads_;
  Activation activation_;
  std::shared_ptr<LayerNorm> norm1_, norm2_;
  std::shared_ptr<Linear> q_, k_, v_, out_, fc1_, fc2_;
};

ClipText::ClipText(const nlohmann::json& config, bool with_projection) {
  const int64_t width = config_size(config, "hidden_size", 512);
  const int64_t inner = config_size(config, "intermediate_size", 2048);
  const int64_t heads = config_size(config, "num_attention_heads", 8);
  const double eps = config_value<double>(config, "layer_norm_eps", 1e-5);
  const auto act = config_value<std::string>(config, "hidden_act", "quick_gelu");
  if (width % heads != 0) {
    throw std::invalid_argument(
        "config.json: 'hidden_size' is no multiple of "
        "'num_attention_heads'");
  }
  eos_token_id_ = config_value<int64_t>(config, "eos_token_id", 49407);
  tokens_ = add<Embedding>(*this, "text_model.embeddings.token_embedding",
                           config_size(config, "vocab_size", 49408), width);
  positions_ = add<Embedding>(*this, "text_model.embeddings.position_embedding",
                              config_size(config, "max_position_embeddings", 77), width);
  const int64_t layers = config_size(config, "num_hidden_layers", 12);
  for (int64_t i = 0; i < layers; ++i) {
    layers_.push_back(add<ClipLayer>(*this, element("text_model.encoder.layers", i), width, inner,
                                     heads, eps, act));
  }
  final_norm_ = add<LayerNorm>(*this, "text_model.final_layer_norm", width, eps);
  if (with_projection) {
    projection_ = add<Linear>(*this, "text_projection", width,
                              config_size(config, "projection_dim", 512), false);
  }
}

ClipText::~ClipText() = default;

at::Tensor ClipText::end_of_text(const at::Tensor& token_ids) const {
  // Published configs say 2, which is wrong; transformers then takes the largest id, which is the
  // end-of-text token of the original vocabulary.
  if (eos_token_id_ == 2) return token_ids.argmax(-1);
  return (token_ids == eos_token_id_).to(at::kInt).argmax(-1);
}

Activations ClipText::enter(const at::Tensor& token_ids) {
  const auto positions = at::arange(token_ids.size(1), token_ids.options());
  return {(*tokens_)(token_ids) + (*positions_)(positions).unsqueeze(0), token_ids};
}

std::string ClipText::stage_path(std::size_t stage) const {
  return stage == layers_.size()
             ? std::string()
             : element("text_model.encoder.layers", static_cast<int64_t>(stage));
}

void ClipText::run_stage(std::size_t stage, Activations& activations) {
  activations[0] = stage == layers_.size() ? pooled((*final_norm_)(activations[0]), activations[1])
                                           : layers_[stage]->forward(activations[0]);
}

at::Tensor ClipText::pooled(const at::Tensor& last_hidden_state,
                            const at::Tensor& token_ids) const {
  const auto rows = at::arange(token_ids.size(0), token_ids.options());
  const auto state = last_hidden_state.index({rows, end_of_text(token_ids)});
  return projection_ ? (*projection_)(state) : state;
}

ClipText::Output ClipText::forward(const at::Tensor& token_ids) {
  Activations activations = enter(token_ids);
  Output output;
  output.hidden_states.push_back(activations[0]);
  for (std::size_t stage = 0; stage < layers_.size(); ++stage) {
    run_stage(stage, activations);
    output.hidden_states.push_back(activations[0]);
  }
  output.last_hidden_state = (*final_norm_)(activations[0]);
  output.pooled = pooled(output.last_hidden_state, token_ids);
  return output;
}

}  // namespace precis::models
