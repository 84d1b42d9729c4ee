#include "pipelines/sd3/sd3_pipeline.h"

#include "models/config.h"

namespace precis::pipelines {

Sd3Pipeline::Sd3Pipeline(Loader& loader)
    : sample_size_(models::config_size(loader.config("transformer"), "sample_size", 128)),
      patch_size_(models::config_size(loader.config("transformer"), "patch_size", 2)),
      channels_(models::config_size(loader.config("transformer"), "in_channels", 16)),
      text_width_(models::config_size(loader.config("transformer"), "joint_attention_dim", 4096)),
      dtype_(loader.dtype()),
      clip_tokenizers_{loader.tokenizer("tokenizer"), loader.tokenizer("tokenizer_2")},
      clips_{loader.turn<models::ClipText>("text_encoder", false, true),
             loader.turn<models::ClipText>("text_encoder_2", false, true)},
      decoder_({}, loader.config("vae")),
      scheduler_(loader.scheduler_config()) {
  if (loader.has("text_encoder_3")) {
    t5_tokenizer_ = loader.tokenizer("tokenizer_3");
    t5_ = loader.turn<models::T5Encoder>("text_encoder_3", false);
  }
  transformer_ = loader.turn<models::Sd3Transformer>("transformer", false);
  decoder_ =
      ImageDecoder(loader.turn<models::AutoencoderKlDecoder>("vae", true), loader.config("vae"));
}

// Both encoders take the first tokenizer's length, as the library does.
int64_t Sd3Pipeline::clip_length() const {
  const int64_t length = clip_tokenizers_[0]->max_length();
  return length > 0 ? length : 77;
}

int64_t Sd3Pipeline::t5_length(const GenerateOptions& options) {
  return options.max_sequence_length > 0 ? options.max_sequence_length : 256;
}

double Sd3Pipeline::guidance(const GenerateOptions& options) {
  return options.guidance_scale.value_or(7.0);
}

bool Sd3Pipeline::guided(const GenerateOptions& options) {
  return guidance(options) > 1.0;
}

Sd3Pipeline::TextEmbedding Sd3Pipeline::encode(const std::string& text, int64_t t5_length) {
  const at::Device device = transformer_.device();
  std::vector<at::Tensor> clip_states, pooled;
  for (int i = 0; i < 2; ++i) {
    const auto ids = clip_tokenizers_[i]->encode_padded(text, clip_length()).ids;
    const auto output = clips_[i]->forward(token_row(ids, clips_[i].device()));
    const auto& states = output.hidden_states;
    clip_states.push_back(states.at(states.size() - 2).to(device));
    pooled.push_back(output.pooled.to(device));
  }
  const auto clip = at::cat(clip_states, -1);
  at::Tensor t5;
  if (t5_) {
    const auto ids = t5_tokenizer_->encode_padded(text, t5_length).ids;
    t5 = t5_->forward(token_row(ids, t5_.device())).to(device);
  } else {
    t5 = at::zeros({1, t5_length, text_width_}, clip.options());
  }
  const auto padded = at::constant_pad_nd(clip, {0, t5.size(2) - clip.size(2)});
  return {at::cat({padded, t5}, 1), at::cat(pooled, -1)};
}

std::vector<ComponentWork> Sd3Pipeline::work(const GenerateOptions& options) const {
  const int64_t factor = decoder_.scale_factor();
  const auto size = image_size(options, sample_size_, factor, factor * patch_size_);
  const int64_t pixels = size.height / factor * (size.width / factor);
  const int64_t clip = clip_length(), t5 = t5_length(options);
  const int64_t batch = guided(options) ? 2 * options.images : options.images;
  return {
      {"text_encoder", {.tokens = clip}},
      {"text_encoder_2", {.tokens = clip}},
      {"text_encoder_3", {.tokens = t5}},
      {"transformer",
       {.batch = batch, .tokens = pixels / (patch_size_ * patch_size_), .text_tokens = clip + t5}},
      {"vae", {.batch = options.images, .pixels = pixels}}};
}

at::Tensor Sd3Pipeline::run(const GenerateOptions& options) {
  const int64_t factor = decoder_.scale_factor();
  const auto size = image_size(options, sample_size_, factor, factor * patch_size_);
  const bool guided = this->guided(options);
  const int64_t length = t5_length(options);
  auto text = encode(options.prompt, length);
  if (guided) {
    const auto negative = encode(options.negative_prompt, length);
    text.tokens = at::cat({negative.tokens, text.tokens});
    text.pooled = at::cat({negative.pooled, text.pooled});
  }
  text.tokens = text.tokens.repeat_interleave(options.images, 0);
  text.pooled = text.pooled.repeat_interleave(options.images, 0);
  auto latents =
      start_latents(options, {options.images, channels_, size.height / factor, size.width / factor},
                    dtype_, transformer_.device());
  std::optional<double> mu;
  if (scheduler_.dynamic_shifting()) {
    mu =
        scheduler_.dynamic_shift((latents.size(2) / patch_size_) * (latents.size(3) / patch_size_));
  }
  scheduler_.set_timesteps(options.steps, mu);
  for (std::size_t i = 0; i < scheduler_.timesteps().size(); ++i) {
    const auto input = guided ? at::cat({latents, latents}) : latents;
    const auto timestep =
        at::full({input.size(0)}, scheduler_.timesteps()[i], input.options().dtype(at::kFloat));
    auto velocity = transformer_->forward(input, text.tokens, text.pooled, timestep);
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
