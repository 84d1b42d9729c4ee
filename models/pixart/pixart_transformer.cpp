#include "models/pixart/pixart_transformer.h"

#include <algorithm>
#include <string>

#include "models/config.h"
#include "models/layers/attention.h"
#include "models/layers/feed_forward.h"
#include "models/layers/module_path.h"
#include "models/layers/parameter.h"

namespace precis::models {

struct PixArtBlockOptions {
  int64_t width, heads, head_width, context_width;
  double eps;
  bool bias;
  std::string activation_name;
};

class PixArtAttention : public ProjectingModule {
 public:
  // cross: keys and values are of the text.
  PixArtAttention(const PixArtBlockOptions& options, bool cross) : heads_(options.heads) {
    const int64_t inner = options.heads * options.head_width;
    if (cross) {
      q_ = add<Linear>(*this, "to_q", options.width, inner, options.bias);
      inputs_ =
          add_projections({"to_k", "to_v"}, "to_kv", options.context_width, inner, options.bias);
    } else {
      inputs_ =
          add_projections({"to_q", "to_k", "to_v"}, "to_qkv", options.width, inner, options.bias);
    }
    out_ = add<Linear>(*this, "to_out.0", inner, options.width);
  }

  at::Tensor forward(const at::Tensor& x, const at::Tensor& context, const at::Tensor& mask = {}) {
    AttentionOptions options;
    options.mask = mask;
    auto parts = (*inputs_)(context);
    if (q_) parts.insert(parts.begin(), (*q_)(x));
    for (at::Tensor& part : parts) part = split_heads(part, heads_);
    return (*out_)(attend(parts[0], parts[1], parts[2], options));
  }

 private:
  int64_t heads_;
  std::shared_ptr<Linear> q_;  // of cross attention
  const Projections* inputs_;  // the others; of self-attention all three
  std::shared_ptr<Linear> out_;
};

class PixArtBlock : public torch::nn::Module {
 public:
  explicit PixArtBlock(const PixArtBlockOptions& options)
      : eps_(options.eps),
        self_(add<PixArtAttention>(*this, "attn1", options, false)),
        cross_(add<PixArtAttention>(*this, "attn2", options, true)),
        feed_forward_(add<FeedForward>(*this, "ff", options.width, 4 * options.width,
                                       options.activation_name)),
        table_(uninitialised(*this, "scale_shift_table", {6, options.width})) {}

  // modulation: [batch, 6, width]; mask: [batch, 1, 1, tokens], added to the scores.
  at::Tensor forward(at::Tensor x, const at::Tensor& text, const at::Tensor& mask,
                     const at::Tensor& modulation) {
    const auto m = (table_ + modulation).chunk(6, 1);  // shift, scale, gate; again for ff
    const auto normed = norm(x) * (1 + m[1]) + m[0];
    x = x + m[2] * self_->forward(normed, normed);
    x = x + cross_->forward(x, text, mask);
    return x + m[5] * (*feed_forward_)(norm(x) * (1 + m[4]) + m[3]);
  }

 private:
  at::Tensor norm(const at::Tensor& x) const {
    return at::layer_norm(x, {x.size(-1)}, {}, {}, eps_);
  }

  double eps_;
  std::shared_ptr<PixArtAttention> self_, cross_;
  std::shared_ptr<FeedForward> feed_forward_;
  at::Tensor table_;
};

PixArtTransformer::PixArtTransformer(const nlohmann::json& config) {
  const int64_t sample_size = config_size(config, "sample_size", 128);
  if (config_value(config, "use_additional_conditions", sample_size == 128)) {
    throw std::invalid_argument(
        "config.json: 'use_additional_conditions' is not supported: set it "
        "to false, as PixArt-Sigma has it");
  }
  if (config_value(config, "norm_elementwise_affine", false)) {
    throw std::invalid_argument("config.json: 'norm_elementwise_affine' is not supported");
  }
  PixArtBlockOptions block;
  block.heads = config_size(config, "num_attention_heads", 16);
  block.head_width = config_size(config, "attention_head_dim", 72);
  block.width = block.heads * block.head_width;
  block.context_width = config_size(config, "cross_attention_dim", 1152);
  block.eps = config_value(config, "norm_eps", 1e-6);
  block.bias = config_value(config, "attention_bias", true);
  block.activation_name = config_value<std::string>(config, "activation_fn", "gelu-approximate");
  const int64_t in_channels = config_size(config, "in_channels", 4);
  patch_size_ = config_size(config, "patch_size", 2);

  PatchEmbedding::Options patches;
  patches.sample_size = sample_size;
  patches.patch_size = patch_size_;
  patches.in_channels = in_channels;
  patches.width = block.width;
  patches.interpolation_scale = config_value(
      config, "interpolation_scale", static_cast<double>(std::max<int64_t>(sample_size / 64, 1)));
  patches_ = add<PatchEmbedding>(*this, "pos_embed", patches);
  timestep_ = add<TwoLayerProjection>(*this, "adaln_single.emb.timestep_embedder",
                                      kTimestepFrequencies, block.width, block.width, "silu");
  modulation_ = add<Linear>(*this, "adaln_single.linear", block.width, 6 * block.width);
  const auto caption_channels = config_value<int64_t>(config, "caption_channels", 0);
  if (caption_channels > 0) {
    caption_ = add<TwoLayerProjection>(*this, "caption_projection", caption_channels, block.width,
                                       block.width, "gelu_new");
  }
  const int64_t layers = config_size(config, "num_layers", 28);
  for (int64_t i = 0; i < layers; ++i) {
    blocks_.push_back(add<PixArtBlock>(*this, element("transformer_blocks", i), block));
  }
  out_shift_scale_ = uninitialised(*this, "scale_shift_table", {2, block.width});
  out_ = add<Linear>(*this, "proj_out", block.width,
                     patch_size_ * patch_size_ * config_size(config, "out_channels", in_channels));
}

PixArtTransformer::~PixArtTransformer() = default;

at::Tensor PixArtTransformer::forward(const at::Tensor& latents, const at::Tensor& text,
                                      const at::Tensor& text_mask, const at::Tensor& timestep) {
  return denoise({latents, text, text_mask, timestep});
}

std::string PixArtTransformer::block_path(std::size_t block) const {
  return element("transformer_blocks", static_cast<int64_t>(block));
}

void PixArtTransformer::embed(Activations& activations) {
  const at::Tensor latents = activations[0], text = activations[1], text_mask = activations[2],
                   timestep = activations[3];
  const auto x = (*patches_)(latents);
  const auto embedding =
      (*timestep_)(timestep_frequencies(timestep, kTimestepFrequencies).to(x.scalar_type()));
  const auto modulation = (*modulation_)(at::silu(embedding)).view({x.size(0), 6, -1});
  const auto mask =
      ((1 - text_mask.to(x.scalar_type())) * -10000.0).view({text_mask.size(0), 1, 1, -1});
  activations = {x, caption_ ? (*caption_)(text) : text, mask, modulation, embedding, latents};
}

void PixArtTransformer::run_block(std::size_t block, Activations& activations) {
  activations[kImage] = blocks_[block]->forward(activations[kImage], activations[kText],
                                                activations[kMask], activations[kModulation]);
}

void PixArtTransformer::put_out(Activations& activations) {
  const at::Tensor &x = activations[kImage], &latents = activations[kLatents];
  const auto shift_scale = (out_shift_scale_ + activations[kEmbedding].unsqueeze(1)).chunk(2, 1);
  const auto normed =
      at::layer_norm(x, {x.size(-1)}, {}, {}, 1e-6) * (1 + shift_scale[1]) + shift_scale[0];
  activations[0] = unpatchify((*out_)(normed), latents.size(2) / patch_size_,
                              latents.size(3) / patch_size_, patch_size_);
}

}  // namespace precis::models
