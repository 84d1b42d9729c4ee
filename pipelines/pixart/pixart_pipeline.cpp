#include "pipelines/pixart/pixart_pipeline.h"

#include "models/config.h"
#include "models/tokenizers/unicode.h"

namespace precis::pipelines {

PixArtPipeline::PixArtPipeline(Loader& loader)
    : sample_size_(models::config_size(loader.config("transformer"), "sample_size", 128)),
      patch_size_(models::config_size(loader.config("transformer"), "patch_size", 2)),
      channels_(models::config_size(loader.config("transformer"), "in_channels", 4)),
      default_length_(loader.pipeline_class() == "PixArtAlphaPipeline" ? 120 : 300),
      dtype_(loader.dtype()),
      tokenizer_(loader.tokenizer("tokenizer")),
      t5_(loader.turn<models::T5Encoder>("text_encoder", false)),
      transformer_(loader.turn<models::PixArtTransformer>("transformer", false)),
      decoder_(loader.turn<models::AutoencoderKlDecoder>("vae", true), loader.config("vae")),
      scheduler_(loader.scheduler_config()) {}

PixArtPipeline::TextEmbedding PixArtPipeline::encode(const std::string& text, int64_t length) {
  const auto caption = models::lower_case(models::stripped(text));
  const auto tokens = tokenizer_->encode_padded(caption, length);
  TextEmbedding embedding;
  const auto mask = token_row(tokens.mask, t5_.device());
  const auto states = t5_->forward(token_row(tokens.ids, t5_.device()), mask);
  embedding.mask = mask.to(transformer_.device());
  embedding.tokens = states.to(transformer_.device());
  return embedding;
}

int64_t PixArtPipeline::text_length(const GenerateOptions& options) const {
  return options.max_sequence_length > 0 ? options.max_sequence_length : default_length_;
}

double PixArtPipeline::guidance(const GenerateOptions& options) {
  return options.guidance_scale.value_or(4.5);
}

bool PixArtPipeline::guided(const GenerateOptions& options) {
  return guidance(options) > 1.0;
}

std::vector<ComponentWork> PixArtPipeline::work(const GenerateOptions& options) const {
  const int64_t factor = decoder_.scale_factor();
  const auto size = image_size(options, sample_size_, factor, factor * patch_size_);
  const int64_t pixels = size.height / factor * (size.width / factor);
  const int64_t length = text_length(options);
  const int64_t batch = guided(options) ? 2 * options.images : options.images;
  return {{"text_encoder", {.tokens = length}},
          {"transformer",
           {.batch = batch, .tokens = pixels / (patch_size_ * patch_size_), .text_tokens = length}},
          {"vae", {.batch = options.images, .pixels = pixels}}};
}

at::Tensor PixArtPipeline::run(const GenerateOptions& options) {
  const int64_t factor = decoder_.scale_factor();
  const auto size = image_size(options, sample_size_, factor, factor * patch_size_);
  const bool guided = this->guided(options);
  const int64_t length = text_length(options);
  auto text = encode(options.prompt, length);
  if (guided) {
    const auto negative = encode(options.negative_prompt, length);
    text.tokens = at::cat({negative.tokens, text.tokens});
    text.mask = at::cat({negative.mask, text.mask});
  }
  text.tokens = text.tokens.repeat_interleave(options.images, 0);
  text.mask = text.mask.repeat_interleave(options.images, 0);
  auto latents =
      start_latents(options, {options.images, channels_, size.height / factor, size.width / factor},
                    dtype_, transformer_.device());
  scheduler_.set_timesteps(options.steps);
  for (std::size_t i = 0; i < scheduler_.timesteps().size(); ++i) {
    const auto input = guided ? at::cat({latents, latents}) : latents;
    const auto timestep =
        at::full({input.size(0)}, scheduler_.timesteps()[i], input.options().dtype(at::kLong));
    auto noise = transformer_->forward(input, text.tokens, text.mask, timestep);
    if (guided) {
      const auto parts = noise.chunk(2);
      noise = parts[0] + guidance(options) * (parts[1] - parts[0]);
    }
    // The second half of the channels, if there is one, is the variance, which the solver ignores.
    latents = scheduler_.step(noise.narrow(1, 0, channels_), i, latents);
    if (options.progress) options.progress(static_cast<int64_t>(i) + 1, options.steps);
  }
  return decoder_.decode(latents);
}

}  // namespace precis::pipelines
