#include "pipelines/latents.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "models/config.h"

namespace precis::pipelines {

ImageSize image_size(const GenerateOptions& options, int64_t sample_size, int64_t scale_factor,
                     int64_t multiple) {
  const int64_t natural = sample_size * scale_factor;
  const ImageSize size{options.height > 0 ? options.height : natural,
                       options.width > 0 ? options.width : natural};
  for (const int64_t side : {size.height, size.width}) {
    if (side % multiple != 0) {
      throw std::invalid_argument(
          fmt::format("height and width must be multiples of {} for this pipeline, not {} and {}",
                      multiple, size.height, size.width));
    }
  }
  return size;
}

at::Tensor start_latents(const GenerateOptions& options, at::IntArrayRef shape,
                         at::ScalarType dtype, const at::Device& device) {
  if (options.latents.defined()) {
    if (options.latents.sizes() != shape) {
      throw std::invalid_argument(fmt::format("the latents have shape [{}], not [{}]",
                                              fmt::join(options.latents.sizes(), ", "),
                                              fmt::join(shape, ", ")));
    }
    return options.latents.to(device, dtype);
  }
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(options.seed);
  return at::randn(shape, generator, at::TensorOptions(dtype)).to(device);
}

at::Tensor token_row(const std::vector<int64_t>& tokens, const at::Device& device) {
  return at::tensor(tokens).unsqueeze(0).to(device);
}

ImageDecoder::ImageDecoder(Turn<models::AutoencoderKlDecoder> decoder, const nlohmann::json& config)
    : decoder_(std::move(decoder)),
      scaling_factor_(models::config_value(config, "scaling_factor", 0.18215)),
      shift_factor_(models::config_value(config, "shift_factor", 0.0)) {
  const auto channels =
      models::config_value<std::vector<int64_t>>(config, "block_out_channels", {64});
  scale_factor_ = int64_t{1} << (channels.size() - 1);
}

at::Tensor ImageDecoder::decode(const at::Tensor& latents) {
  const auto input = (latents / scaling_factor_ + shift_factor_).to(decoder_.device());
  const auto pixels = decoder_->forward(input);
  return (pixels * 0.5 + 0.5).clamp(0, 1).to(at::kFloat).contiguous();
}

}  // namespace precis::pipelines
