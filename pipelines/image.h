// Images out: PNG, and how far two images are apart.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "core/base/result.h"

namespace precis::pipelines {

// Writes [3, height, width] of 0 to 1, rounded to 8 bits as diffusers rounds. The file appears
// complete or not at all. Error io.
Status write_png(const std::filesystem::path& path, const at::Tensor& image);

// Peak signal-to-noise ratio in dB of two images of 0 to 1; infinite when they are equal.
// [..., 3, height, width]; of several images, their mean error counts.
double psnr(const at::Tensor& image, const at::Tensor& reference);

// Structural similarity (Wang et al. 2004): mean over channels and all windows of a Gaussian of 11
// x 11 pixels and standard deviation 1.5; C1 = 0.01^2, C2 = 0.03^2. [..., 3, height, width].
double ssim(const at::Tensor& image, const at::Tensor& reference);

}  // namespace precis::pipelines
