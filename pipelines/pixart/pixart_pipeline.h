// PixArtAlphaPipeline and PixArtSigmaPipeline of diffusers 0.42, without binning of resolutions and
// cleaning of captions.
#pragma once

#include "models/pixart/pixart_transformer.h"
#include "models/schedulers/dpm_solver_multistep.h"
#include "models/t5/t5_encoder.h"
#include "pipelines/latents.h"
#include "pipelines/loader.h"

namespace precis::pipelines {

class PixArtPipeline : public Pipeline {
 public:
  // Throws LoadError and std::invalid_argument.
  explicit PixArtPipeline(Loader& loader);

 private:
  struct TextEmbedding {
    at::Tensor tokens;  // [1, tokens, caption_channels]
    at::Tensor mask;    // [1, tokens]
  };

  at::Tensor run(const GenerateOptions& options) override;
  std::vector<ComponentWork> work(const GenerateOptions& options) const override;
  int64_t text_length(const GenerateOptions& options) const;
  static double guidance(const GenerateOptions& options);
  static bool guided(const GenerateOptions& options);
  TextEmbedding encode(const std::string& text, int64_t length);

  int64_t sample_size_, patch_size_, channels_, default_length_;
  at::ScalarType dtype_;
  std::unique_ptr<models::Tokenizer> tokenizer_;
  Turn<models::T5Encoder> t5_;
  Turn<models::PixArtTransformer> transformer_;
  ImageDecoder decoder_;
  models::DpmSolverMultistep scheduler_;
};

}  // namespace precis::pipelines
