#include "models/t5/t5_encoder.h"

#include <cmath>
#include <string>

#include "models/config.h"
#include "models/layers/activation.h"
#include "models/layers/attention.h"
#include "models/layers/linear.h"
#include "models/layers/module_path.h"

namespace precis::models {

struct T5Config {
  int64_t vocab_size, d_model, d_kv, d_ff, layers, heads, buckets, max_distance;
  double eps;
  bool gated, bias_in_every_block;
  std::string activation_name;
};

namespace {

T5Config read_t5_config(const nlohmann::json& json) {
  const auto feed_forward = config_value<std::string>(json, "feed_forward_proj", "relu");
  const bool gated = feed_forward.rfind("gated-", 0) == 0;
  auto activation_name = gated ? feed_forward.substr(6) : feed_forward;
  // For backward compatibility transformers takes the tanh approximation here.
  if (feed_forward == "gated-gelu") activation_name = "gelu_new";
  return {config_size(json, "vocab_size", 32128),
          config_size(json, "d_model", 512),
          config_size(json, "d_kv", 64),
          config_size(json, "d_ff", 2048),
          config_size(json, "num_layers", 6),
          config_size(json, "num_heads", 8),
          config_size(json, "relative_attention_num_buckets", 32),
          config_size(json, "relative_attention_max_distance", 128),
          config_value<double>(json, "layer_norm_epsilon", 1e-6),
          gated,
          config_value<std::string>(json, "model_type", "t5") == "umt5",
          activation_name};
}

// Buckets of the distances between tokens, [tokens, tokens]: half of them for each direction, exact
// for short distances, logarithmic up to max_distance (Raffel et al. 2020, section 2.1).
at::Tensor relative_buckets(int64_t tokens, int64_t buckets, int64_t max_distance) {
  const int64_t half = buckets / 2;
  const int64_t exact = half / 2;
  const auto position = at::arange(tokens, at::kLong);
  const auto distance = position.unsqueeze(0) - position.unsqueeze(1);
  const auto length = distance.abs();
  const auto logarithmic =
      exact + (at::log(length.to(at::kFloat) / exact) /
               std::log(static_cast<double>(max_distance) / exact) * (half - exact))
                  .to(at::kLong);
  const auto bucket = at::where(length < exact, length, at::clamp_max(logarithmic, half - 1));
  return bucket + (distance > 0).to(at::kLong) * half;
}

// fp16 overflows in the residual stream of large T5 encoders.
at::Tensor clamp_half(const at::Tensor& x) {
  if (x.scalar_type() != at::kHalf) return x;
  const double limit = 65504.0 - (at::isinf(x).any().item<bool>() ? 1000.0 : 0.0);
  return at::clamp(x, -limit, limit);
}

}  // namespace

class T5Attention : public torch::nn::Module {
 public:
  T5Attention(const T5Config& config, bool has_bias) : config_(config) {
    const int64_t inner = config.heads * config.d_kv;
    q_ = add<Linear>(*this, "q", config.d_model, inner, false);
    k_ = add<Linear>(*this, "k", config.d_model, inner, false);
    v_ = add<Linear>(*this, "v", config.d_model, inner, false);
    o_ = add<Linear>(*this, "o", inner, config.d_model, false);
    if (has_bias) {
      bias_ = add<Embedding>(*this, "relative_attention_bias", config.buckets, config.heads);
    }
  }

  bool has_bias() const { return bias_ != nullptr; }

  // [1, heads, tokens, tokens]
  at::Tensor position_bias(int64_t tokens, const at::Device& device) {
    const auto buckets = relative_buckets(tokens, config_.buckets, config_.max_distance);
    return (*bias_)(buckets.to(device)).permute({2, 0, 1}).unsqueeze(0);
  }

  at::Tensor forward(const at::Tensor& x, const at::Tensor& bias) {
    AttentionOptions options;
    options.mask = bias;
    options.scale = 1.0;  // T5 does not divide the scores: its initialisation accounts for it
    return (*o_)(attend(split_heads((*q_)(x), config_.heads), split_heads((*k_)(x), config_.heads),
                        split_heads((*v_)(x), config_.heads), options));
  }

 private:
  T5Config config_;
  std::shared_ptr<Linear> q_, k_, v_, o_;
  std::shared_ptr<Embedding> bias_;
};

class T5FeedForward : public torch::nn::Module {
 public:
  explicit T5FeedForward(const T5Config& config) : activation_(activation(config.activation_name)) {
    in_ = add<Linear>(*this, config.gated ? "wi_0" : "wi", config.d_model, config.d_ff, false);
    if (config.gated) gate_ = add<Linear>(*this, "wi_1", config.d_model, config.d_ff, false);
    out_ = add<Linear>(*this, "wo", config.d_ff, config.d_model, false);
  }

  at::Tensor forward(const at::Tensor& x) {
    auto inner = activation_((*in_)(x));
    if (gate_) inner = inner * (*gate_)(x);
    // In fp16 transformers keeps this weight, and the residual stream after it, in float32.
    if (inner.scalar_type() == at::kHalf) inner = inner.to(at::kFloat);
    return (*out_)(inner);
  }

 private:
  Activation activation_;
  std::shared_ptr<Linear> in_, gate_, out_;
};

class T5Block : public torch::nn::Module {
 public:
  T5Block(const T5Config& config, bool has_bias)
      : attention_(add<T5Attention>(*this, "layer.0.SelfAttention", config, has_bias)),
        attention_norm_(add<RmsNorm>(*this, "layer.0.layer_norm", config.d_model, config.eps)),
        feed_forward_(add<T5FeedForward>(*this, "layer.1.DenseReluDense", config)),
        feed_forward_norm_(add<RmsNorm>(*this, "layer.1.layer_norm", config.d_model, config.eps)) {}

  T5Attention& attention() { return *attention_; }

  at::Tensor forward(at::Tensor x, const at::Tensor& bias) {
    x = clamp_half(x + attention_->forward((*attention_norm_)(x), bias));
    return clamp_half(x + feed_forward_->forward((*feed_forward_norm_)(x)));
  }

 private:
  std::shared_ptr<T5Attention> attention_;
  std::shared_ptr<RmsNorm> attention_norm_;
  std::shared_ptr<T5FeedForward> feed_forward_;
  std::shared_ptr<RmsNorm> feed_forward_norm_;
};

T5Encoder::T5Encoder(const nlohmann::json& json) {
  const T5Config config = read_t5_config(json);
  embedding_ = add<Embedding>(*this, "shared", config.vocab_size, config.d_model);
  for (int64_t i = 0; i < config.layers; ++i) {
    blocks_.push_back(add<T5Block>(*this, element("encoder.block", i), config,
                                   i == 0 || config.bias_in_every_block));
  }
  final_norm_ = add<RmsNorm>(*this, "encoder.final_layer_norm", config.d_model, config.eps);
}

T5Encoder::~T5Encoder() = default;

// Behind the hidden state: what padding adds to every position bias, undefined for none, and the
// bias that the last block with one of its own computed.
Activations T5Encoder::enter(const at::Tensor& token_ids) {
  return {(*embedding_)(token_ids), {}, {}};
}

std::string T5Encoder::stage_path(std::size_t stage) const {
  return element("encoder.block", static_cast<int64_t>(stage));
}

void T5Encoder::run_stage(std::size_t stage, Activations& activations) {
  at::Tensor &x = activations[0], &padding = activations[1], &bias = activations[2];
  T5Block& block = *blocks_[stage];
  if (block.attention().has_bias()) {
    bias = block.attention().position_bias(x.size(1), x.device());
    if (padding.defined()) bias = bias + padding;
  }
  x = block.forward(x, bias);
}

at::Tensor T5Encoder::forward(const at::Tensor& token_ids, const at::Tensor& attention_mask) {
  Activations activations = enter(token_ids);
  if (attention_mask.defined()) {
    activations[1] = padding_mask(attention_mask, activations[0].scalar_type());
  }
  for (std::size_t stage = 0; stage < stage_count(); ++stage) run_stage(stage, activations);
  return (*final_norm_)(activations[0]);
}

}  // namespace precis::models
