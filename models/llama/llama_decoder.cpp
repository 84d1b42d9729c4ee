#include "models/llama/llama_decoder.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>
#include <string>

#include "models/config.h"
#include "models/layers/activation.h"
#include "models/layers/attention.h"
#include "models/layers/module_path.h"
#include "models/layers/rotary.h"
#include "runtime/modules/widened_products.h"

namespace precis::models {
namespace {

struct LlamaConfig {
  int64_t vocab_size, width, inner, layers, heads, key_value_heads, head_width;
  double eps;
  bool attention_bias, mlp_bias, tied;
  std::string activation_name;
};

LlamaConfig read_llama_config(const nlohmann::json& json) {
  LlamaConfig config;
  config.vocab_size = config_size(json, "vocab_size", 32000);
  config.width = config_size(json, "hidden_size", 4096);
  config.inner = config_size(json, "intermediate_size", 11008);
  config.layers = config_size(json, "num_hidden_layers", 32);
  config.heads = config_size(json, "num_attention_heads", 32);
  config.key_value_heads = config_size(json, "num_key_value_heads", config.heads);
  config.head_width = config_size(json, "head_dim", config.width / config.heads);
  config.eps = config_value(json, "rms_norm_eps", 1e-6);
  config.attention_bias = config_value(json, "attention_bias", false);
  config.mlp_bias = config_value(json, "mlp_bias", false);
  config.tied = config_value(json, "tie_word_embeddings", false);
  config.activation_name = config_value<std::string>(json, "hidden_act", "silu");
  if (config.heads % config.key_value_heads != 0) {
    throw std::invalid_argument(
        "config.json: 'num_attention_heads' is no multiple of "
        "'num_key_value_heads'");
  }
  return config;
}

// Rope's options: 'rope_parameters' of transformers 5; before that 'rope_scaling' and 'rope_theta'.
nlohmann::json rope_parameters(const nlohmann::json& config) {
  const auto empty = nlohmann::json::object();
  nlohmann::json rope = config_value(config, "rope_parameters", empty);
  if (rope.empty()) rope = config_value(config, "rope_scaling", empty);
  if (!rope.contains("rope_theta"))
    rope["rope_theta"] = config_value(config, "rope_theta", 10000.0);
  if (!rope.contains("rope_type"))
    rope["rope_type"] = config_value<std::string>(rope, "type", "default");
  return rope;
}

// Slow frequencies divided by `factor`, fast ones kept, between them a linear blend by wavelength
// (Llama 3.1's published code; transformers 5.23, modeling_rope_utils.py).
at::Tensor llama3_frequencies(const at::Tensor& frequencies, const nlohmann::json& rope) {
  const double factor = config_value(rope, "factor", 8.0);
  const double low = config_value(rope, "low_freq_factor", 1.0);
  const double high = config_value(rope, "high_freq_factor", 4.0);
  const double trained = config_value(rope, "original_max_position_embeddings", 8192.0);
  const at::Tensor turns = trained * frequencies / (2 * std::numbers::pi);
  const at::Tensor fast = ((turns - low) / (high - low)).clamp(0, 1);
  return (1 - fast) * frequencies / factor + fast * frequencies;
}

at::Tensor rope_frequencies(const nlohmann::json& config, int64_t head_width) {
  const nlohmann::json rope = rope_parameters(config);
  const auto theta = config_value(rope, "rope_theta", 10000.0);
  const auto kind = config_value<std::string>(rope, "rope_type", "default");
  const auto exponents = at::arange(0, head_width, 2, at::kFloat) / head_width;
  const at::Tensor frequencies = at::pow(theta, exponents).to(at::kFloat).reciprocal();
  if (kind == "default") return frequencies;
  if (kind == "linear") return frequencies / config_value(rope, "factor", 1.0);
  if (kind == "llama3") return llama3_frequencies(frequencies, rope);
  throw std::invalid_argument("config.json: 'rope_type' is '" + kind +
                              "'; default, linear and llama3 are supported");
}

}  // namespace

// Position of the tokens of one call: cos and sin [tokens, head_dim], and what queries may not see.
struct LlamaPositions {
  at::Tensor cos, sin;
  at::Tensor mask;  // undefined: see causal
  bool causal = false;
};

class LlamaAttention : public torch::nn::Module {
 public:
  explicit LlamaAttention(const LlamaConfig& config)
      : heads_(config.heads), key_value_heads_(config.key_value_heads) {
    const int64_t inner = config.heads * config.head_width;
    const int64_t shared = config.key_value_heads * config.head_width;
    q_ = add<Linear>(*this, "q_proj", config.width, inner, config.attention_bias);
    k_ = add<Linear>(*this, "k_proj", config.width, shared, config.attention_bias);
    v_ = add<Linear>(*this, "v_proj", config.width, shared, config.attention_bias);
    o_ = add<Linear>(*this, "o_proj", inner, config.width, config.attention_bias);
  }

  at::Tensor forward(const at::Tensor& x, const LlamaPositions& positions,
                     std::pair<at::Tensor, at::Tensor>* past) {
    const auto query = rotate_halves(split_heads((*q_)(x), heads_), positions.cos, positions.sin);
    auto key = rotate_halves(split_heads((*k_)(x), key_value_heads_), positions.cos, positions.sin);
    auto value = split_heads((*v_)(x), key_value_heads_);
    if (past != nullptr) {
      if (past->first.defined()) {
        key = at::cat({past->first, key}, 2);
        value = at::cat({past->second, value}, 2);
      }
      *past = {key, value};
    }
    AttentionOptions options;
    options.mask = positions.mask;
    options.causal = positions.causal;
    const int64_t group = heads_ / key_value_heads_;
    return (*o_)(
        attend(query, key.repeat_interleave(group, 1), value.repeat_interleave(group, 1), options));
  }

 private:
  int64_t heads_, key_value_heads_;
  std::shared_ptr<Linear> q_, k_, v_, o_;
};

class LlamaBlock : public torch::nn::Module {
 public:
  explicit LlamaBlock(const LlamaConfig& config)
      : attention_(add<LlamaAttention>(*this, "self_attn", config)),
        attention_norm_(add<RmsNorm>(*this, "input_layernorm", config.width, config.eps)),
        mlp_norm_(add<RmsNorm>(*this, "post_attention_layernorm", config.width, config.eps)),
        activation_(activation(config.activation_name)) {
    gate_ = add<Linear>(*this, "mlp.gate_proj", config.width, config.inner, config.mlp_bias);
    up_ = add<Linear>(*this, "mlp.up_proj", config.width, config.inner, config.mlp_bias);
    down_ = add<Linear>(*this, "mlp.down_proj", config.inner, config.width, config.mlp_bias);
  }

  at::Tensor forward(at::Tensor x, const LlamaPositions& positions,
                     std::pair<at::Tensor, at::Tensor>* past) {
    x = x + attention_->forward((*attention_norm_)(x), positions, past);
    const auto normed = (*mlp_norm_)(x);
    return x + (*down_)(activation_((*gate_)(normed)) * (*up_)(normed));
  }

 private:
  std::shared_ptr<LlamaAttention> attention_;
  std::shared_ptr<RmsNorm> attention_norm_, mlp_norm_;
  Activation activation_;
  std::shared_ptr<Linear> gate_, up_, down_;
};

LlamaDecoder::LlamaDecoder(const nlohmann::json& json) {
  const LlamaConfig config = read_llama_config(json);
  embedding_ = add<Embedding>(*this, "model.embed_tokens", config.vocab_size, config.width);
  for (int64_t i = 0; i < config.layers; ++i)
    blocks_.push_back(add<LlamaBlock>(*this, element("model.layers", i), config));
  norm_ = add<RmsNorm>(*this, "model.norm", config.width, config.eps);
  if (!config.tied) head_ = add<Linear>(*this, "lm_head", config.width, config.vocab_size, false);
  frequencies_ = rope_frequencies(json, config.head_width);
}

LlamaDecoder::~LlamaDecoder() = default;

std::pair<at::Tensor, at::Tensor> LlamaDecoder::rotations(int64_t before, int64_t tokens,
                                                          const at::TensorOptions& like) const {
  const auto angles = at::outer(at::arange(before, before + tokens).to(at::kFloat), frequencies_);
  const auto both = at::cat({angles, angles}, 1);
  return {both.cos().to(like), both.sin().to(like)};
}

Activations LlamaDecoder::enter(const at::Tensor& token_ids) {
  const auto x = (*embedding_)(token_ids);
  const auto [cos, sin] = rotations(0, token_ids.size(1), x.options());
  return {x, cos, sin};
}

std::string LlamaDecoder::stage_path(std::size_t stage) const {
  return stage == blocks_.size() ? std::string()
                                 : element("model.layers", static_cast<int64_t>(stage));
}

void LlamaDecoder::run_stage(std::size_t stage, Activations& activations) {
  const LlamaPositions positions{activations[1], activations[2], {}, true};
  activations[0] = stage == blocks_.size()
                       ? logits(activations[0])
                       : blocks_[stage]->forward(activations[0], positions, nullptr);
}

at::Tensor LlamaDecoder::logits(const at::Tensor& x) const {
  const auto normed = (*norm_)(x);
  return head_ ? (*head_)(normed) : widening_linear(normed, embedding_->weight(), {});
}

at::Tensor LlamaDecoder::forward(const at::Tensor& token_ids, KeyValueCache* cache) {
  auto x = (*embedding_)(token_ids);
  const int64_t before = cache == nullptr ? 0 : cache->tokens(), tokens = token_ids.size(1);
  if (cache != nullptr) cache->blocks.resize(blocks_.size());
  const auto [cos, sin] = rotations(before, tokens, x.options());
  LlamaPositions positions{cos, sin, {}, before == 0};
  if (before > 0 && tokens > 1) {
    positions.mask = at::ones({tokens, before + tokens}, x.options().dtype(at::kBool)).tril(before);
  }
  for (std::size_t i = 0; i < blocks_.size(); ++i)
    x = blocks_[i]->forward(x, positions, cache == nullptr ? nullptr : &cache->blocks[i]);
  return logits(x);
}

}  // namespace precis::models
