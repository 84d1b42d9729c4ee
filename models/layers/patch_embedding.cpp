#include "models/layers/patch_embedding.h"

#include <stdexcept>
#include <string>

#include "models/layers/module_path.h"

namespace precis::models {
namespace {

at::Tensor sincos(int64_t width, const at::Tensor& positions) {
  const auto frequencies =
      at::pow(10000.0, -at::arange(width / 2, at::kDouble) / (static_cast<double>(width) / 2));
  const auto angles = at::outer(positions.to(at::kDouble).flatten(), frequencies);
  return at::cat({at::sin(angles), at::cos(angles)}, 1);
}

}  // namespace

at::Tensor sincos_positions(int64_t token_width, int64_t height, int64_t width, double scale_height,
                            double scale_width) {
  const auto rows = at::arange(height, at::kFloat) / scale_height;
  const auto columns = at::arange(width, at::kFloat) / scale_width;
  const auto column_of = columns.unsqueeze(0).expand({height, width});
  const auto row_of = rows.unsqueeze(1).expand({height, width});
  return at::cat({sincos(token_width / 2, column_of), sincos(token_width / 2, row_of)}, 1)
      .to(at::kFloat);
}

PatchEmbedding::PatchEmbedding(const Options& options)
    : options_(options),
      proj_(add<Conv2d>(*this, "proj", options.in_channels, options.width, options.patch_size,
                        options.patch_size)) {
  if (options.stored_side == 0) return;
  stored_ = register_buffer(
      "pos_embed", at::empty({1, options.stored_side * options.stored_side, options.width}));
}

at::Tensor PatchEmbedding::positions(int64_t height, int64_t width) const {
  if (stored_.defined()) {
    const int64_t side = options_.stored_side;
    if (height > side || width > side) {
      throw std::invalid_argument("an image of " + std::to_string(height) + " x " +
                                  std::to_string(width) + " patches is larger than the " +
                                  std::to_string(side) + " x " + std::to_string(side) +
                                  " positions of the checkpoint; choose a smaller size");
    }
    return stored_.view({side, side, -1})
        .narrow(0, (side - height) / 2, height)
        .narrow(1, (side - width) / 2, width)
        .reshape({1, height * width, -1});
  }
  const double base = static_cast<double>(options_.sample_size / options_.patch_size);
  return sincos_positions(options_.width, height, width,
                          height / base * options_.interpolation_scale,
                          width / base * options_.interpolation_scale)
      .unsqueeze(0)
      .to(proj_->parameters()[0].device());
}

at::Tensor PatchEmbedding::operator()(const at::Tensor& latents) {
  const auto tokens = (*proj_)(latents).flatten(2).transpose(1, 2);
  const auto grid =
      positions(latents.size(2) / options_.patch_size, latents.size(3) / options_.patch_size);
  return (tokens + grid).to(tokens.scalar_type()).contiguous();
}

at::Tensor unpatchify(const at::Tensor& tokens, int64_t height, int64_t width, int64_t patch) {
  return tokens.reshape({tokens.size(0), height, width, patch, patch, -1})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({tokens.size(0), -1, height * patch, width * patch});
}

}  // namespace precis::models
