// FluxPipeline of diffusers 0.42, for the dev and the schnell networks.
#pragma once

#include "models/clip/clip_text.h"
#include "models/flux/flux_transformer.h"
#include "models/schedulers/flow_match_euler.h"
#include "models/t5/t5_encoder.h"
#include "pipelines/latents.h"
#include "pipelines/loader.h"

namespace precis::pipelines {

class FluxPipeline : public Pipeline {
 public:
  // Throws LoadError and std::invalid_argument.
  explicit FluxPipeline(Loader& loader);

 private:
  // negative_prompt is not used: these networks have the guidance distilled in.
  at::Tensor run(const GenerateOptions& options) override;
  std::vector<ComponentWork> work(const GenerateOptions& options) const override;
  int64_t clip_length() const;
  static int64_t t5_length(const GenerateOptions& options);

  int64_t channels_;
  at::ScalarType dtype_;
  std::unique_ptr<models::Tokenizer> clip_tokenizer_, t5_tokenizer_;
  Turn<models::ClipText> clip_;
  Turn<models::T5Encoder> t5_;
  Turn<models::FluxTransformer> transformer_;
  ImageDecoder decoder_;
  models::FlowMatchEuler scheduler_;
};

}  // namespace precis::pipelines
