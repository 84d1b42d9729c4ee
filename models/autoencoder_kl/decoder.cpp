#include "models/autoencoder_kl/decoder.h"

#include <string>

#include "models/config.h"
#include "models/layers/attention.h"
#include "models/layers/linear.h"
#include "models/layers/module_path.h"

namespace precis::models {
namespace {

constexpr double kGroupNormEps = 1e-6;

}  // namespace

class ResnetBlock : public torch::nn::Module {
 public:
  ResnetBlock(int64_t in_channels, int64_t out_channels, int64_t groups)
      : norm1_(add<GroupNorm>(*this, "norm1", groups, in_channels, kGroupNormEps)),
        conv1_(add<Conv2d>(*this, "conv1", in_channels, out_channels, 3, 1, 1)),
        norm2_(add<GroupNorm>(*this, "norm2", groups, out_channels, kGroupNormEps)),
        conv2_(add<Conv2d>(*this, "conv2", out_channels, out_channels, 3, 1, 1)) {
    if (in_channels != out_channels) {
      shortcut_ = add<Conv2d>(*this, "conv_shortcut", in_channels, out_channels, 1);
    }
  }

  at::Tensor forward(const at::Tensor& x) {
    const auto inner = (*conv1_)(at::silu((*norm1_)(x)));
    const auto residual = (*conv2_)(at::silu((*norm2_)(inner)));
    return (shortcut_ ? (*shortcut_)(x) : x) + residual;
  }

 private:
  std::shared_ptr<GroupNorm> norm1_;
  std::shared_ptr<Conv2d> conv1_;
  std::shared_ptr<GroupNorm> norm2_;
  std::shared_ptr<Conv2d> conv2_, shortcut_;
};

// One head over all pixels.
class PixelAttention : public torch::nn::Module {
 public:
  PixelAttention(int64_t channels, int64_t groups)
      : norm_(add<GroupNorm>(*this, "group_norm", groups, channels, kGroupNormEps)),
        to_q_(add<Linear>(*this, "to_q", channels, channels)),
        to_k_(add<Linear>(*this, "to_k", channels, channels)),
        to_v_(add<Linear>(*this, "to_v", channels, channels)),
        to_out_(add<Linear>(*this, "to_out.0", channels, channels)) {}

  at::Tensor forward(const at::Tensor& x) {
    const auto tokens = (*norm_)(x.flatten(2)).transpose(1, 2);
    const auto head = [&](Linear& layer) { return split_heads(layer(tokens), 1); };
    const auto result = (*to_out_)(attend(head(*to_q_), head(*to_k_), head(*to_v_)));
    return x + result.transpose(1, 2).reshape(x.sizes());
  }

 private:
  std::shared_ptr<GroupNorm> norm_;
  std::shared_ptr<Linear> to_q_, to_k_, to_v_, to_out_;
};

AutoencoderKlDecoder::AutoencoderKlDecoder(const nlohmann::json& config) {
  const auto channels = config_value<std::vector<int64_t>>(config, "block_out_channels", {64});
  const auto kinds =
      config_value<std::vector<std::string>>(config, "up_block_types", {"UpDecoderBlock2D"});
  for (const auto& kind : kinds) {
    if (kind != "UpDecoderBlock2D") {
      throw std::invalid_argument("config.json: 'up_block_types' has '" + kind +
                                  "'; only UpDecoderBlock2D is supported");
    }
  }
  if (channels.empty() || channels.size() != kinds.size()) {
    throw std::invalid_argument(
        "config.json: 'block_out_channels' and 'up_block_types' must have "
        "the same number of entries");
  }
  const int64_t latent = config_size(config, "latent_channels", 4);
  const int64_t groups = config_size(config, "norm_num_groups", 32);
  const int64_t layers = config_size(config, "layers_per_block", 1);
  if (config_value(config, "use_post_quant_conv", true)) {
    post_quant_ = add<Conv2d>(*this, "post_quant_conv", latent, latent, 1);
  }
  int64_t width = channels.back();
  conv_in_ = add<Conv2d>(*this, "decoder.conv_in", latent, width, 3, 1, 1);
  mid_first_ = add<ResnetBlock>(*this, "decoder.mid_block.resnets.0", width, width, groups);
  if (config_value(config, "mid_block_add_attention", true)) {
    mid_attention_ = add<PixelAttention>(*this, "decoder.mid_block.attentions.0", width, groups);
  }
  mid_second_ = add<ResnetBlock>(*this, "decoder.mid_block.resnets.1", width, width, groups);
  for (std::size_t i = 0; i < channels.size(); ++i) {
    const int64_t out = channels[channels.size() - 1 - i];
    const auto path = element("decoder.up_blocks", static_cast<int64_t>(i));
    UpBlock block;
    for (int64_t j = 0; j < layers + 1; ++j) {
      block.resnets.push_back(add<ResnetBlock>(*this, element(path + ".resnets", j),
                                               j == 0 ? width : out, out, groups));
    }
    if (i + 1 < channels.size()) {
      block.upsample = add<Conv2d>(*this, path + ".upsamplers.0.conv", out, out, 3, 1, 1);
    }
    up_blocks_.push_back(std::move(block));
    width = out;
  }
  norm_out_ = add<GroupNorm>(*this, "decoder.conv_norm_out", groups, width, kGroupNormEps);
  conv_out_ = add<Conv2d>(*this, "decoder.conv_out", width, config_size(config, "out_channels", 3),
                          3, 1, 1);
}

AutoencoderKlDecoder::~AutoencoderKlDecoder() = default;

at::Tensor AutoencoderKlDecoder::forward(const at::Tensor& latents) {
  auto x = (*conv_in_)(post_quant_ ? (*post_quant_)(latents) : latents);
  x = mid_first_->forward(x);
  if (mid_attention_) x = mid_attention_->forward(x);
  x = mid_second_->forward(x);
  for (const auto& block : up_blocks_) {
    for (const auto& resnet : block.resnets) x = resnet->forward(x);
    if (block.upsample) {
      x = (*block.upsample)(
          at::upsample_nearest2d(x, at::IntArrayRef{x.size(2) * 2, x.size(3) * 2}));
    }
  }
  return (*conv_out_)(at::silu((*norm_out_)(x)));
}

}  // namespace precis::models
