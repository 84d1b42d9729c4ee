#include "models/auraflow/auraflow_transformer.h"

#include <cmath>
#include <string>

#include "models/config.h"
#include "models/layers/attention.h"
#include "models/layers/module_path.h"
#include "models/layers/parameter.h"
#include "models/layers/patch_embedding.h"

namespace precis::models {

struct AuraFlowWidths {
  int64_t width, heads, head_width;
};

// silu(linear_1 x) * linear_2 x, projected back.
class AuraFlowFeedForward : public torch::nn::Module {
 public:
  explicit AuraFlowFeedForward(int64_t width) {
    // Two thirds of four times the width, rounded up to a multiple of 256.
    const int64_t inner = (2 * (4 * width) / 3 + 255) / 256 * 256;
    in_ = add<Linear>(*this, "linear_1", width, inner, false);
    gate_ = add<Linear>(*this, "linear_2", width, inner, false);
    out_ = add<Linear>(*this, "out_projection", inner, width, false);
  }
  at::Tensor operator()(const at::Tensor& x) { return (*out_)(at::silu((*in_)(x)) * (*gate_)(x)); }

 private:
  std::shared_ptr<Linear> in_, gate_, out_;
};

namespace {

constexpr int64_t kRegisterTokens = 8;
constexpr double kNormEps = 1e-5;

// In float32 whatever the network's dtype.
at::Tensor float_norm(const at::Tensor& x) {
  return plain_layer_norm(x.to(at::kFloat), kNormEps).to(x.scalar_type());
}

JointAttention::Options auraflow_attention(const AuraFlowWidths& widths, bool context) {
  JointAttention::Options options{widths.width, widths.heads, widths.head_width};
  options.qk_norm = JointAttention::QkNorm::layer;
  options.eps = kNormEps;
  options.bias = false;
  options.context = context;
  options.context_first = true;
  return options;
}

// The end of both kinds of block: the residual is the block's input, not the attention's result.
at::Tensor finish(const at::Tensor& x, const at::Tensor& attended, const std::vector<at::Tensor>& m,
                  AuraFlowFeedForward& feed_forward) {
  const auto normed = float_norm(x + gated(m[2], attended));
  return x + gated(m[5], feed_forward(modulate(normed, m[3], m[4])));
}

}  // namespace

// Image and text in two streams.
class AuraFlowBlock : public torch::nn::Module {
 public:
  explicit AuraFlowBlock(const AuraFlowWidths& widths)
      : modulation_(add<Modulation>(*this, "norm1", widths.width, 6, false)),
        context_modulation_(add<Modulation>(*this, "norm1_context", widths.width, 6, false)),
        attention_(add<JointAttention>(*this, "attn", auraflow_attention(widths, true))),
        feed_forward_(add<AuraFlowFeedForward>(*this, "ff", widths.width)),
        context_feed_forward_(add<AuraFlowFeedForward>(*this, "ff_context", widths.width)) {}

  std::pair<at::Tensor, at::Tensor> forward(const at::Tensor& image, const at::Tensor& text,
                                            const at::Tensor& embedding) {
    const auto m = (*modulation_)(embedding);
    const auto c = (*context_modulation_)(embedding);
    const auto [attended, attended_text] = attention_->forward(
        modulate(float_norm(image), m[0], m[1]), modulate(float_norm(text), c[0], c[1]));
    return {finish(image, attended, m, *feed_forward_),
            finish(text, attended_text, c, *context_feed_forward_)};
  }

 private:
  std::shared_ptr<Modulation> modulation_, context_modulation_;
  std::shared_ptr<JointAttention> attention_;
  std::shared_ptr<AuraFlowFeedForward> feed_forward_, context_feed_forward_;
};

// Text and image in one stream.
class AuraFlowSingleBlock : public torch::nn::Module {
 public:
  explicit AuraFlowSingleBlock(const AuraFlowWidths& widths)
      : modulation_(add<Modulation>(*this, "norm1", widths.width, 6, false)),
        attention_(add<JointAttention>(*this, "attn", auraflow_attention(widths, false))),
        feed_forward_(add<AuraFlowFeedForward>(*this, "ff", widths.width)) {}

  at::Tensor forward(const at::Tensor& x, const at::Tensor& embedding) {
    const auto m = (*modulation_)(embedding);
    const auto attended = attention_->forward(modulate(float_norm(x), m[0], m[1])).first;
    return finish(x, attended, m, *feed_forward_);
  }

 private:
  std::shared_ptr<Modulation> modulation_;
  std::shared_ptr<JointAttention> attention_;
  std::shared_ptr<AuraFlowFeedForward> feed_forward_;
};

AuraFlowTransformer::AuraFlowTransformer(const nlohmann::json& config) {
  AuraFlowWidths widths{};
  widths.heads = config_size(config, "num_attention_heads", 12);
  widths.head_width = config_size(config, "attention_head_dim", 256);
  widths.width = widths.heads * widths.head_width;
  const int64_t in_channels = config_size(config, "in_channels", 4);
  patch_size_ = config_size(config, "patch_size", 2);
  const int64_t positions = config_size(config, "pos_embed_max_size", 1024);
  position_side_ = static_cast<int64_t>(std::sqrt(static_cast<double>(positions)));
  if (config_size(config, "caption_projection_dim", 3072) != widths.width) {
    throw std::invalid_argument(
        "config.json: 'caption_projection_dim' must equal "
        "'num_attention_heads' * 'attention_head_dim'");
  }
  const int64_t patch_values = patch_size_ * patch_size_;
  patches_ = add<Linear>(*this, "pos_embed.proj", patch_values * in_channels, widths.width);
  auto [patch_level, name] = parent_at(*this, "pos_embed.pos_embed");
  positions_ = uninitialised(*patch_level, name, {1, positions, widths.width});
  context_ = add<Linear>(*this, "context_embedder",
                         config_size(config, "joint_attention_dim", 2048), widths.width, false);
  timestep_ = add<TwoLayerProjection>(*this, "time_step_proj", kTimestepFrequencies, widths.width,
                                      widths.width, "silu");
  const int64_t layers = config_size(config, "num_mmdit_layers", 4);
  for (int64_t i = 0; i < layers; ++i) {
    blocks_.push_back(add<AuraFlowBlock>(*this, element("joint_transformer_blocks", i), widths));
  }
  const auto single_layers = config_value<int64_t>(config, "num_single_dit_layers", 32);
  for (int64_t i = 0; i < single_layers; ++i) {
    single_blocks_.push_back(
        add<AuraFlowSingleBlock>(*this, element("single_transformer_blocks", i), widths));
  }
  modulation_out_ = add<Linear>(*this, "norm_out.linear", widths.width, 2 * widths.width, false);
  out_ = add<Linear>(*this, "proj_out", widths.width,
                     patch_values * config_size(config, "out_channels", in_channels), false);
  register_tokens_ = uninitialised(*this, "register_tokens", {1, kRegisterTokens, widths.width});
}

AuraFlowTransformer::~AuraFlowTransformer() = default;

at::Tensor AuraFlowTransformer::embed_patches(const at::Tensor& latents) const {
  const int64_t rows = latents.size(2) / patch_size_, columns = latents.size(3) / patch_size_;
  if (rows > position_side_ || columns > position_side_) {
    throw std::invalid_argument(
        "an image of " + std::to_string(rows) + " x " + std::to_string(columns) +
        " patches is larger than the " + std::to_string(position_side_) + " x " +
        std::to_string(position_side_) + " positions of the checkpoint; choose a smaller size");
  }
  const auto tokens =
      latents.reshape({latents.size(0), latents.size(1), rows, patch_size_, columns, patch_size_})
          .permute({0, 2, 4, 1, 3, 5})
          .flatten(3)
          .flatten(1, 2);
  const auto middle = positions_.view({1, position_side_, position_side_, -1})
                          .narrow(1, position_side_ / 2 - rows / 2, rows)
                          .narrow(2, position_side_ / 2 - columns / 2, columns)
                          .flatten(1, 2);
  return (*patches_)(tokens) + middle;
}

at::Tensor AuraFlowTransformer::forward(const at::Tensor& latents, const at::Tensor& text,
                                        const at::Tensor& timestep) {
  return denoise({latents, text, timestep});
}

std::string AuraFlowTransformer::block_path(std::size_t block) const {
  const auto index = static_cast<int64_t>(block), joint = static_cast<int64_t>(blocks_.size());
  return index < joint ? element("joint_transformer_blocks", index)
                       : element("single_transformer_blocks", index - joint);
}

void AuraFlowTransformer::embed(Activations& activations) {
  const at::Tensor latents = activations[0], text = activations[1], timestep = activations[2];
  const auto image = embed_patches(latents);
  const auto frequencies = timestep_frequencies(timestep, kTimestepFrequencies, /*scale=*/1000.0);
  const auto embedding = (*timestep_)(frequencies.to(register_tokens_.scalar_type()));
  const auto context =
      at::cat({register_tokens_.repeat({text.size(0), 1, 1}), (*context_)(text)}, 1);
  activations = {image, context, embedding, latents};
}

void AuraFlowTransformer::run_block(std::size_t block, Activations& activations) {
  at::Tensor &image = activations[kImage], &text = activations[kText];
  const at::Tensor& embedding = activations[kEmbedding];
  if (block < blocks_.size()) {
    std::tie(image, text) = blocks_[block]->forward(image, text, embedding);
    return;
  }
  if (block == blocks_.size()) image = at::cat({text, image}, 1);
  image = single_blocks_[block - blocks_.size()]->forward(image, embedding);
}

void AuraFlowTransformer::put_out(Activations& activations) {
  const at::Tensor& latents = activations[kLatents];
  const int64_t rows = latents.size(2) / patch_size_, columns = latents.size(3) / patch_size_;
  const at::Tensor& x = activations[kImage];
  const auto image = x.narrow(1, x.size(1) - rows * columns, rows * columns);
  const auto m = (*modulation_out_)(at::silu(activations[kEmbedding])).chunk(2, 1);
  // Scale, then shift; no norm.
  activations[0] = unpatchify((*out_)(modulate(image, m[1], m[0])), rows, columns, patch_size_);
}

}  // namespace precis::models
