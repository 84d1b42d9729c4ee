// From latents to images: the decoder of AutoencoderKL of diffusers 0.42.
#pragma once

#include <torch/nn/module.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "models/layers/convolution.h"
#include "models/layers/norm.h"

namespace precis::models {

class ResnetBlock;
class PixelAttention;

class AutoencoderKlDecoder : public torch::nn::Module {
 public:
  // config: of the whole autoencoder; its encoder is not made. Error: std::invalid_argument naming
  // the key.
  explicit AutoencoderKlDecoder(const nlohmann::json& config);
  ~AutoencoderKlDecoder() override;

  // latents: [batch, latent_channels, height, width], after division by scaling_factor and addition
  // of shift_factor. Gives [batch, out_channels, 8 height, 8 width] in about -1 to 1 (the factor is
  // 2 to the power of the number of up blocks less one).
  at::Tensor forward(const at::Tensor& latents);

 private:
  struct UpBlock {
    std::vector<std::shared_ptr<ResnetBlock>> resnets;
    std::shared_ptr<Conv2d> upsample;  // null in the last block
  };

  std::shared_ptr<Conv2d> post_quant_, conv_in_, conv_out_;
  std::shared_ptr<ResnetBlock> mid_first_, mid_second_;
  std::shared_ptr<PixelAttention> mid_attention_;
  std::vector<UpBlock> up_blocks_;
  std::shared_ptr<GroupNorm> norm_out_;
};

}  // namespace precis::models
