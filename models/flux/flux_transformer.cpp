#include "models/flux/flux_transformer.h"

#include "models/config.h"
#include "models/layers/attention.h"
#include "models/layers/feed_forward.h"
#include "models/layers/module_path.h"
#include "models/layers/rotary.h"

namespace precis::models {
namespace {

struct FluxAngles {
  at::Tensor cos, sin;
};

// The residual stream leaves the range of fp16 now and then.
at::Tensor clamp_residual(const at::Tensor& x) {
  return x.scalar_type() == at::kHalf ? at::clamp(x, -65504, 65504) : x;
}

JointAttention::Options flux_attention(int64_t width, int64_t heads, int64_t head_width) {
  JointAttention::Options options{width, heads, head_width};
  options.qk_norm = JointAttention::QkNorm::rms;
  options.context_first = true;
  return options;
}

}  // namespace

// Image and text in two streams.
class FluxBlock : public torch::nn::Module {
 public:
  FluxBlock(int64_t width, int64_t heads, int64_t head_width)
      : norm_(add<Modulation>(*this, "norm1", width, 6)),
        context_norm_(add<Modulation>(*this, "norm1_context", width, 6)),
        attention_(add<JointAttention>(*this, "attn", flux_attention(width, heads, head_width))),
        feed_forward_(add<FeedForward>(*this, "ff", width, 4 * width, "gelu-approximate")),
        context_feed_forward_(
            add<FeedForward>(*this, "ff_context", width, 4 * width, "gelu-approximate")) {}

  std::pair<at::Tensor, at::Tensor> forward(const at::Tensor& image, const at::Tensor& text,
                                            const at::Tensor& embedding, const FluxAngles& angles) {
    const auto m = (*norm_)(embedding);
    const auto c = (*context_norm_)(embedding);
    const auto [attended, attended_text] =
        attention_->forward(modulate(plain_layer_norm(image), m[0], m[1]),
                            modulate(plain_layer_norm(text), c[0], c[1]), angles.cos, angles.sin);
    const auto finish = [](const at::Tensor& x, const at::Tensor& attention,
                           const std::vector<at::Tensor>& part, FeedForward& feed_forward) {
      const auto y = x + gated(part[2], attention);
      return y + gated(part[5], feed_forward(modulate(plain_layer_norm(y), part[3], part[4])));
    };
    return {finish(image, attended, m, *feed_forward_),
            clamp_residual(finish(text, attended_text, c, *context_feed_forward_))};
  }

 private:
  std::shared_ptr<Modulation> norm_, context_norm_;
  std::shared_ptr<JointAttention> attention_;
  std::shared_ptr<FeedForward> feed_forward_, context_feed_forward_;
};

// Text and image in one stream; attention and feed-forward side by side.
class FluxSingleBlock : public torch::nn::Module {
 public:
  FluxSingleBlock(int64_t width, int64_t heads, int64_t head_width)
      : norm_(add<Modulation>(*this, "norm", width, 3)),
        mlp_(add<Linear>(*this, "proj_mlp", width, 4 * width)),
        out_(add<Linear>(*this, "proj_out", 5 * width, width)) {
    auto options = flux_attention(width, heads, head_width);
    options.context = false;
    options.output = false;
    attention_ = add<JointAttention>(*this, "attn", options);
  }

  at::Tensor forward(const at::Tensor& x, const at::Tensor& embedding, const FluxAngles& angles) {
    const auto m = (*norm_)(embedding);
    const auto normed = modulate(plain_layer_norm(x), m[0], m[1]);
    const auto attended = attention_->forward(normed, {}, angles.cos, angles.sin).first;
    const auto inner = at::gelu((*mlp_)(normed), "tanh");
    return clamp_residual(x + gated(m[2], (*out_)(at::cat({attended, inner}, 2))));
  }

 private:
  std::shared_ptr<Modulation> norm_;
  std::shared_ptr<Linear> mlp_, out_;
  std::shared_ptr<JointAttention> attention_;
};

FluxTransformer::FluxTransformer(const nlohmann::json& config) {
  const int64_t heads = config_size(config, "num_attention_heads", 24);
  const int64_t head_width = config_size(config, "attention_head_dim", 128);
  const int64_t width = heads * head_width;
  const int64_t in_channels = config_size(config, "in_channels", 64);
  const int64_t patch = config_size(config, "patch_size", 1);
  axes_ = config_value<std::vector<int64_t>>(config, "axes_dims_rope", {16, 56, 56});
  int64_t rotated = 0;
  for (const int64_t axis : axes_) rotated += axis;
  if (axes_.size() != 3 || rotated != head_width) {
    throw std::invalid_argument(
        "config.json: 'axes_dims_rope' must be three widths that add up to "
        "'attention_head_dim'");
  }
  guidance_embedded_ = config_value(config, "guidance_embeds", false);
  time_text_ =
      add<TimeTextEmbedding>(*this, "time_text_embed", width,
                             config_size(config, "pooled_projection_dim", 768), guidance_embedded_);
  context_ = add<Linear>(*this, "context_embedder",
                         config_size(config, "joint_attention_dim", 4096), width);
  in_ = add<Linear>(*this, "x_embedder", in_channels, width);
  const int64_t layers = config_size(config, "num_layers", 19);
  for (int64_t i = 0; i < layers; ++i) {
    blocks_.push_back(
        add<FluxBlock>(*this, element("transformer_blocks", i), width, heads, head_width));
  }
  const int64_t single_layers = config_size(config, "num_single_layers", 38);
  for (int64_t i = 0; i < single_layers; ++i) {
    single_blocks_.push_back(add<FluxSingleBlock>(*this, element("single_transformer_blocks", i),
                                                  width, heads, head_width));
  }
  norm_out_ = add<ContinuousNorm>(*this, "norm_out", width);
  out_ = add<Linear>(*this, "proj_out", width,
                     patch * patch * config_size(config, "out_channels", in_channels));
}

FluxTransformer::~FluxTransformer() = default;

at::Tensor FluxTransformer::forward(const Input& input) {
  Activations inputs{input.latents,         input.text,          input.pooled, input.timestep,
                     input.image_positions, input.text_positions};
  if (guidance_embedded_) inputs.push_back(input.guidance);
  return denoise(std::move(inputs));
}

std::string FluxTransformer::block_path(std::size_t block) const {
  const auto index = static_cast<int64_t>(block), joint = static_cast<int64_t>(blocks_.size());
  return index < joint ? element("transformer_blocks", index)
                       : element("single_transformer_blocks", index - joint);
}

void FluxTransformer::embed(Activations& activations) {
  const at::Tensor latents = activations[0], text = activations[1], pooled = activations[2],
                   timestep = activations[3], image_positions = activations[4],
                   text_positions = activations[5];
  const auto image = (*in_)(latents);
  const auto type = image.scalar_type();
  // The scale of training: a timestep from 0 to 1000.
  const auto guidance = guidance_embedded_ ? activations[6].to(type) * 1000 : at::Tensor();
  const auto embedding = (*time_text_)(timestep.to(type) * 1000, pooled, guidance);
  const auto [cos, sin] = rotary_angles(at::cat({text_positions, image_positions}), axes_, 10000.0);
  activations = {
      image, (*context_)(text), embedding, cos.to(image.device()), sin.to(image.device()), latents};
}

void FluxTransformer::run_block(std::size_t block, Activations& activations) {
  at::Tensor &image = activations[kImage], &text = activations[kText];
  const at::Tensor& embedding = activations[kEmbedding];
  const FluxAngles angles{activations[kCos], activations[kSin]};
  if (block < blocks_.size()) {
    std::tie(image, text) = blocks_[block]->forward(image, text, embedding, angles);
    return;
  }
  if (block == blocks_.size()) image = at::cat({text, image}, 1);
  image = single_blocks_[block - blocks_.size()]->forward(image, embedding, angles);
}

void FluxTransformer::put_out(Activations& activations) {
  const at::Tensor& x = activations[kImage];
  const int64_t tokens = activations[kLatents].size(1);
  const auto image = x.narrow(1, x.size(1) - tokens, tokens);
  activations[0] = (*out_)((*norm_out_)(image, activations[kEmbedding]));
}

}  // namespace precis::models
