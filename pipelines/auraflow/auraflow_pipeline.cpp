#include "pipelines/auraflow/auraflow_pipeline.h"

#include "models/config.h"

namespace precis::pipelines {

AuraFlowPipeline::AuraFlowPipeline(Loader& loader)
    : sample_size_(models::config_size(loader.config("transformer"), "sample_size", 64)),
      patch_size_(models::config_size(loader.config("transformer"), "patch_size", 2)),
      channels_(models::config_size(loader.config("transformer"), "in_channels", 4)),
      dtype_(loader.dtype()),
      tokenizer_(loader.tokenizer("tokenizer")),
      t5_(loader.turn<models::T5Encoder>("text_encoder", false)),
      transformer_(loader.turn<models::AuraFlowTransformer>("transformer", false)),
      decoder_(loader.turn<models::AutoencoderKlDecoder>("vae", true), loader.config("vae")),
      scheduler_(loader.scheduler_config()) {}

at::Tensor AuraFlowPipeline::encode(const std::string& text, int64_t length) {
  const auto tokens = tokenizer_->encode_padded(text, length);
  const auto mask = token_row(tokens.mask, t5_.device());
  const auto states = t5_->forward(token_row(tokens.ids, t5_.device()), mask);
  return (states * mask.unsqueeze(-1)).to(transformer_.device());
}

int64_t AuraFlowPipeline::text_length(const GenerateOptions& options) {
  return options.max_sequence_length > 0 ? options.max_sequence_length : 256;
}

double AuraFlowPipeline::guidance(const GenerateOptions& options) {
  return options.guidance_scale.value_or(3.5);
}

bool AuraFlowPipeline::guided(const GenerateOptions& options) {
  return guidance(options) > 1.0;
}

std::vector<ComponentWork> AuraFlowPipeline::work(const GenerateOptions& options) const {
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

at::Tensor AuraFlowPipeline::run(const GenerateOptions& options) {
  const int64_t factor = decoder_.scale_factor();
  const auto size = image_size(options, sample_size_, factor, factor * patch_size_);
  const bool guided = this->guided(options);
  const int64_t length = text_length(options);
  auto text = encode(options.prompt, length);
  if (guided) text = at::cat({encode(options.negative_prompt, length), text});
  text = text.repeat_interleave(options.images, 0);
  auto latents =
      start_latents(options, {options.images, channels_, size.height / factor, size.width / factor},
                    dtype_, transformer_.device());
  scheduler_.set_timesteps(options.steps);
  for (std::size_t i = 0; i < scheduler_.timesteps().size(); ++i) {
    const auto input = guided ? at::cat({latents, latents}) : latents;
    const auto timestep = at::full({input.size(0)}, scheduler_.timesteps()[i] / 1000,
                                   input.options().dtype(at::kFloat))
                              .to(dtype_);
    auto velocity = transformer_->forward(input, text, timestep);
    if (guided) {
      const auto parts = velocity.chunk(2);
      velocity = parts[0] + guidance(options) * (parts[1] - parts[0]);
    }
    latents = scheduler_.step(velocity, i, latents);
    if (options.progress) options.progress(static_cast<int64_t>(i) + 1, options.steps);
  }
  return decoder_.decode(latents);
}

}  // namespace precis::pipelines
