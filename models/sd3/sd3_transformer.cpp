#include "models/sd3/sd3_transformer.h"

#include <algorithm>
#include <string>

#include "models/config.h"
#include "models/layers/attention.h"
#include "models/layers/feed_forward.h"
#include "models/layers/module_path.h"

namespace precis::models {

struct Sd3BlockOptions {
  int64_t width, heads, head_width;
  bool qk_norm;
  bool dual;  // a second attention over the image alone (SD 3.5)
  bool last;  // the text stream ends in this block
};

class Sd3Block : public torch::nn::Module {
 public:
  explicit Sd3Block(const Sd3BlockOptions& options) : options_(options) {
    const int64_t width = options.width;
    JointAttention::Options attention{width, options.heads, options.head_width};
    if (options.qk_norm) attention.qk_norm = JointAttention::QkNorm::rms;
    attention.context_output = !options.last;
    modulation_ = add<Modulation>(*this, "norm1", width, options.dual ? 9 : 6);
    attention_ = add<JointAttention>(*this, "attn", attention);
    feed_forward_ = add<FeedForward>(*this, "ff", width, 4 * width, "gelu-approximate");
    if (options.dual) {
      attention.context = false;
      attention2_ = add<JointAttention>(*this, "attn2", attention);
    }
    if (options.last) {
      context_norm_ = add<ContinuousNorm>(*this, "norm1_context", width);
    } else {
      context_modulation_ = add<Modulation>(*this, "norm1_context", width, 6);
      context_feed_forward_ =
          add<FeedForward>(*this, "ff_context", width, 4 * width, "gelu-approximate");
    }
  }

  // Both streams, [batch, tokens, width]; the text's is undefined after the last block.
  std::pair<at::Tensor, at::Tensor> forward(at::Tensor x, at::Tensor text,
                                            const at::Tensor& embedding) {
    const auto m = (*modulation_)(embedding);
    const auto normed = plain_layer_norm(x);
    std::vector<at::Tensor> c;
    at::Tensor normed_text;
    if (options_.last) {
      normed_text = (*context_norm_)(text, embedding);
    } else {
      c = (*context_modulation_)(embedding);
      normed_text = modulate(plain_layer_norm(text), c[0], c[1]);
    }
    const auto [attended, attended_text] =
        attention_->forward(modulate(normed, m[0], m[1]), normed_text);
    x = x + gated(m[2], attended);
    if (attention2_) {
      x = x + gated(m[8], attention2_->forward(modulate(normed, m[6], m[7])).first);
    }
    x = x + gated(m[5], (*feed_forward_)(modulate(plain_layer_norm(x), m[3], m[4])));
    if (options_.last) return {x, {}};
    text = text + gated(c[2], attended_text);
    text =
        text + gated(c[5], (*context_feed_forward_)(modulate(plain_layer_norm(text), c[3], c[4])));
    return {x, text};
  }

 private:
  Sd3BlockOptions options_;
  std::shared_ptr<Modulation> modulation_, context_modulation_;
  std::shared_ptr<ContinuousNorm> context_norm_;
  std::shared_ptr<JointAttention> attention_, attention2_;
  std::shared_ptr<FeedForward> feed_forward_, context_feed_forward_;
};

Sd3Transformer::Sd3Transformer(const nlohmann::json& config) {
  const int64_t heads = config_size(config, "num_attention_heads", 18);
  const int64_t head_width = config_size(config, "attention_head_dim", 64);
  const int64_t width = heads * head_width;
  const int64_t in_channels = config_size(config, "in_channels", 16);
  const auto qk_norm = config_value<std::string>(config, "qk_norm", "");
  if (!qk_norm.empty() && qk_norm != "rms_norm") {
    throw std::invalid_argument("config.json: 'qk_norm' is '" + qk_norm +
                                "'; null and 'rms_norm' are supported");
  }
  if (config_size(config, "caption_projection_dim", 1152) != width) {
    throw std::invalid_argument(
        "config.json: 'caption_projection_dim' must equal "
        "'num_attention_heads' * 'attention_head_dim'");
  }
  patch_size_ = config_size(config, "patch_size", 2);
  PatchEmbedding::Options patches;
  patches.sample_size = config_size(config, "sample_size", 128);
  patches.patch_size = patch_size_;
  patches.in_channels = in_channels;
  patches.width = width;
  patches.stored_side = config_size(config, "pos_embed_max_size", 96);
  patches_ = add<PatchEmbedding>(*this, "pos_embed", patches);
  time_text_ = add<TimeTextEmbedding>(*this, "time_text_embed", width,
                                      config_size(config, "pooled_projection_dim", 2048));
  context_ = add<Linear>(*this, "context_embedder",
                         config_size(config, "joint_attention_dim", 4096), width);
  const auto dual = config_value<std::vector<int64_t>>(config, "dual_attention_layers", {});
  const int64_t layers = config_size(config, "num_layers", 18);
  for (int64_t i = 0; i < layers; ++i) {
    const Sd3BlockOptions block{width,
                                heads,
                                head_width,
                                !qk_norm.empty(),
                                std::find(dual.begin(), dual.end(), i) != dual.end(),
                                i == layers - 1};
    blocks_.push_back(add<Sd3Block>(*this, element("transformer_blocks", i), block));
  }
  norm_out_ = add<ContinuousNorm>(*this, "norm_out", width);
  out_ = add<Linear>(*this, "proj_out", width,
                     patch_size_ * patch_size_ * config_size(config, "out_channels", in_channels));
}

Sd3Transformer::~Sd3Transformer() = default;

at::Tensor Sd3Transformer::forward(const at::Tensor& latents, const at::Tensor& text,
                                   const at::Tensor& pooled, const at::Tensor& timestep) {
  return denoise({latents, text, pooled, timestep});
}

std::string Sd3Transformer::block_path(std::size_t block) const {
  return element("transformer_blocks", static_cast<int64_t>(block));
}

void Sd3Transformer::embed(Activations& activations) {
  const at::Tensor latents = activations[0], text = activations[1], pooled = activations[2],
                   timestep = activations[3];
  activations = {(*patches_)(latents), (*context_)(text), (*time_text_)(timestep, pooled), latents};
}

void Sd3Transformer::run_block(std::size_t block, Activations& activations) {
  std::tie(activations[kImage], activations[kText]) =
      blocks_[block]->forward(activations[kImage], activations[kText], activations[kEmbedding]);
}

void Sd3Transformer::put_out(Activations& activations) {
  const at::Tensor& latents = activations[kLatents];
  const auto patches = (*out_)((*norm_out_)(activations[kImage], activations[kEmbedding]));
  activations[0] = unpatchify(patches, latents.size(2) / patch_size_, latents.size(3) / patch_size_,
                              patch_size_);
}

}  // namespace precis::models
