// AuraFlowPipeline of diffusers 0.42.
#pragma once

#include "models/auraflow/auraflow_transformer.h"
#include "models/schedulers/flow_match_euler.h"
#include "models/t5/t5_encoder.h"
#include "pipelines/latents.h"
#include "pipelines/loader.h"

namespace precis::pipelines {

class AuraFlowPipeline : public Pipeline {
 public:
  // Throws LoadError and std::invalid_argument.
  explicit AuraFlowPipeline(Loader& loader);

 private:
  at::Tensor run(const GenerateOptions& options) override;
  std::vector<ComponentWork> work(const GenerateOptions& options) const override;
  static int64_t text_length(const GenerateOptions& options);
  static double guidance(const GenerateOptions& options);
  static bool guided(const GenerateOptions& options);
  // [1, tokens, joint_attention_dim], zero for padding.
  at::Tensor encode(const std::string& text, int64_t length);

  int64_t sample_size_, patch_size_, channels_;
  at::ScalarType dtype_;
  std::unique_ptr<models::Tokenizer> tokenizer_;
  Turn<models::T5Encoder> t5_;
  Turn<models::AuraFlowTransformer> transformer_;
  ImageDecoder decoder_;
  models::FlowMatchEuler scheduler_;
};

}  // namespace precis::pipelines
