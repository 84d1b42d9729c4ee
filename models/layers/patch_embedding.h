// Images as sequences of patches, and back.
#pragma once

#include "models/layers/convolution.h"

namespace precis::models {

// Sine and cosine position embedding of a height x width grid: [height * width, width_of_token],
// float32, computed in double. The first half encodes the column, as diffusers' grid order has it.
// `scale`: positions are index / scale (grid over base size, interpolation).
at::Tensor sincos_positions(int64_t token_width, int64_t height, int64_t width, double scale_height,
                            double scale_width);

// diffusers' PatchEmbed: "proj" on non-overlapping patches plus positions.
class PatchEmbedding : public torch::nn::Module {
 public:
  struct Options {
    int64_t sample_size = 0, patch_size = 0, in_channels = 0, width = 0;
    double interpolation_scale = 1.0;
    // Side of the stored grid "pos_embed" [1, side^2, width], cropped to the middle; 0: positions
    // are computed for the size at hand.
    int64_t stored_side = 0;
  };
  explicit PatchEmbedding(const Options& options);
  // latents: [batch, in_channels, height, width]; gives [batch, tokens, width]. Error:
  // std::invalid_argument for an image larger than the stored grid.
  at::Tensor operator()(const at::Tensor& latents);

 private:
  at::Tensor positions(int64_t height, int64_t width) const;

  Options options_;
  std::shared_ptr<Conv2d> proj_;
  at::Tensor stored_;
};

// [batch, height * width, patch * patch * channels], in this order inside a token, to
// [batch, channels, height * patch, width * patch].
at::Tensor unpatchify(const at::Tensor& tokens, int64_t height, int64_t width, int64_t patch);

}  // namespace precis::models
