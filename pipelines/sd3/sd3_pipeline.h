// StableDiffusion3Pipeline of diffusers 0.42, for versions 3 and 3.5.
#pragma once

#include "models/clip/clip_text.h"
#include "models/schedulers/flow_match_euler.h"
#include "models/sd3/sd3_transformer.h"
#include "models/t5/t5_encoder.h"
#include "pipelines/latents.h"
#include "pipelines/loader.h"

namespace precis::pipelines {

class Sd3Pipeline : public Pipeline {
 public:
  // Throws LoadError and std::invalid_argument.
  explicit Sd3Pipeline(Loader& loader);

 private:
  struct TextEmbedding {
    at::Tensor tokens;  // [1, CLIP tokens + T5 tokens, joint_attention_dim]
    at::Tensor pooled;  // [1, pooled_projection_dim]
  };

  at::Tensor run(const GenerateOptions& options) override;
  std::vector<ComponentWork> work(const GenerateOptions& options) const override;
  int64_t clip_length() const;
  static int64_t t5_length(const GenerateOptions& options);
  static double guidance(const GenerateOptions& options);
  static bool guided(const GenerateOptions& options);
  TextEmbedding encode(const std::string& text, int64_t t5_length);

  int64_t sample_size_, patch_size_, channels_, text_width_;
  at::ScalarType dtype_;
  std::unique_ptr<models::Tokenizer> clip_tokenizers_[2], t5_tokenizer_;
  Turn<models::ClipText> clips_[2];
  Turn<models::T5Encoder> t5_;  // may be left out: null
  Turn<models::Sd3Transformer> transformer_;
  ImageDecoder decoder_;
  models::FlowMatchEuler scheduler_;
};

}  // namespace precis::pipelines
