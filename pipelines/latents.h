// Between latents, noise and pixels.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/autoencoder_kl/decoder.h"
#include "pipelines/pipeline.h"

namespace precis::pipelines {

struct ImageSize {
  int64_t height = 0, width = 0;
};

// The size asked for, or `sample_size` latents a side. multiple: pixels of a patch. Error:
// std::invalid_argument when a side is no multiple.
ImageSize image_size(const GenerateOptions& options, int64_t sample_size, int64_t scale_factor,
                     int64_t multiple);

// The latents given, or the numbers that torch.randn(shape, generator=manual_seed(seed)) draws on
// the CPU in this dtype; on `device`. Error: std::invalid_argument when given latents have another
// shape.
at::Tensor start_latents(const GenerateOptions& options, at::IntArrayRef shape,
                         at::ScalarType dtype, const at::Device& device);

// One text\'s tokens, or their mask, as networks on `device` take them: [1, tokens].
at::Tensor token_row(const std::vector<int64_t>& tokens, const at::Device& device);

// AutoencoderKL with its scaling.
class ImageDecoder {
 public:
  ImageDecoder(Turn<models::AutoencoderKlDecoder> decoder, const nlohmann::json& config);
  // Pixels of a side of one latent.
  int64_t scale_factor() const { return scale_factor_; }
  // latents: [images, channels, height, width] as denoised; gives float32 [images, 3, H, W] in 0 to
  // 1.
  at::Tensor decode(const at::Tensor& latents);

 private:
  Turn<models::AutoencoderKlDecoder> decoder_;
  double scaling_factor_, shift_factor_;
  int64_t scale_factor_;
};

}  // namespace precis::pipelines
