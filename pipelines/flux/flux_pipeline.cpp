#include "pipelines/flux/flux_pipeline.h"

#include "models/config.h"

namespace precis::pipelines {
namespace {

constexpr int64_t kPatch = 2;             // latents of a token's side
constexpr int64_t kNaturalLatents = 128;  // of a side; config.json does not tell

// [images, channels, height, width] to [images, height / 2 * width / 2, channels * 4].
at::Tensor pack(const at::Tensor& latents) {
  const int64_t rows = latents.size(2) / kPatch, columns = latents.size(3) / kPatch;
  return latents.view({latents.size(0), latents.size(1), rows, kPatch, columns, kPatch})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({latents.size(0), rows * columns, -1});
}

at::Tensor unpack(const at::Tensor& tokens, int64_t rows, int64_t columns) {
  return tokens.view({tokens.size(0), rows, columns, -1, kPatch, kPatch})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape({tokens.size(0), -1, rows * kPatch, columns * kPatch});
}

// (0, row, column) of every token.
at::Tensor positions(int64_t rows, int64_t columns) {
  const auto row = at::arange(rows).unsqueeze(1).expand({rows, columns}).reshape({-1});
  const auto column = at::arange(columns).repeat({rows});
  return at::stack({at::zeros_like(row), row, column}, 1);
}

}  // namespace

FluxPipeline::FluxPipeline(Loader& loader)
    : channels_(models::config_size(loader.config("transformer"), "in_channels", 64) /
                (kPatch * kPatch)),
      dtype_(loader.dtype()),
      clip_tokenizer_(loader.tokenizer("tokenizer")),
      t5_tokenizer_(loader.tokenizer("tokenizer_2")),
      clip_(loader.turn<models::ClipText>("text_encoder", false, false)),
      t5_(loader.turn<models::T5Encoder>("text_encoder_2", false)),
      transformer_(loader.turn<models::FluxTransformer>("transformer", false)),
      decoder_(loader.turn<models::AutoencoderKlDecoder>("vae", true), loader.config("vae")),
      scheduler_(loader.scheduler_config()) {}

int64_t FluxPipeline::clip_length() const {
  const int64_t length = clip_tokenizer_->max_length();
  return length > 0 ? length : 77;
}

int64_t FluxPipeline::t5_length(const GenerateOptions& options) {
  return options.max_sequence_length > 0 ? options.max_sequence_length : 512;
}

std::vector<ComponentWork> FluxPipeline::work(const GenerateOptions& options) const {
  const int64_t factor = decoder_.scale_factor();
  const auto size = image_size(options, kNaturalLatents, factor, factor * kPatch);
  const int64_t pixels = size.height / factor * (size.width / factor);
  const int64_t t5 = t5_length(options);
  return {{"text_encoder", {.tokens = clip_length()}},
          {"text_encoder_2", {.tokens = t5}},
          {"transformer",
           {.batch = options.images, .tokens = pixels / (kPatch * kPatch), .text_tokens = t5}},
          {"vae", {.batch = options.images, .pixels = pixels}}};
}

at::Tensor FluxPipeline::run(const GenerateOptions& options) {
  const int64_t factor = decoder_.scale_factor();
  const auto size = image_size(options, kNaturalLatents, factor, factor * kPatch);
  const int64_t rows = size.height / (factor * kPatch), columns = size.width / (factor * kPatch);
  const int64_t length = t5_length(options);
  const auto clip_ids = clip_tokenizer_->encode_padded(options.prompt, clip_length()).ids;
  const auto t5_ids = t5_tokenizer_->encode_padded(options.prompt, length).ids;
  models::FluxTransformer::Input input;
  const int64_t images = options.images;
  const at::Device device = transformer_.device();
  const auto as_float = at::TensorOptions(at::kFloat).device(device);
  const auto pooled = clip_->forward(token_row(clip_ids, clip_.device())).pooled;
  input.pooled = pooled.to(device).repeat({images, 1});
  input.text = t5_->forward(token_row(t5_ids, t5_.device())).to(device).repeat({images, 1, 1});
  input.text_positions = at::zeros({length, 3}, at::kLong);
  input.image_positions = positions(rows, columns);
  if (transformer_->guidance_embedded()) {
    input.guidance = at::full({images}, options.guidance_scale.value_or(3.5), as_float);
  }

  auto latents = pack(
      start_latents(options, {images, channels_, rows * kPatch, columns * kPatch}, dtype_, device));
  std::vector<double> sigmas;
  for (int64_t i = 0; i < options.steps; ++i) {
    const auto steps = static_cast<double>(options.steps);
    const double fraction = options.steps == 1 ? 0.0 : static_cast<double>(i) / (steps - 1);
    sigmas.push_back(1.0 + (1.0 / steps - 1.0) * fraction);
  }
  scheduler_.set_timesteps(options.steps, scheduler_.dynamic_shift(rows * columns), sigmas);
  for (std::size_t i = 0; i < scheduler_.timesteps().size(); ++i) {
    input.latents = latents;
    input.timestep = at::full({images}, scheduler_.timesteps()[i], as_float).to(dtype_) / 1000;
    latents = scheduler_.step(transformer_->forward(input), i, latents);
    if (options.progress) options.progress(static_cast<int64_t>(i) + 1, options.steps);
  }
  return decoder_.decode(unpack(latents, rows, columns));
}

}  // namespace precis::pipelines
