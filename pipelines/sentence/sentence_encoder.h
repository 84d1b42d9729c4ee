// Texts to vectors: a BERT model directory as sentence-transformers lays it out.
#pragma once

#include "models/bert/bert_encoder.h"
#include "pipelines/loader.h"

namespace precis::pipelines {

// One thread at a time.
class SentenceEncoder {
 public:
  // Reads a directory with config.json, weights, vocab.txt and, where there is one, the pooling of
  // 1_Pooling/config.json (mean, cls) and a Normalize step of modules.json; without them the mean
  // of the tokens. Errors: unsupported for other architectures and poolings; those of resolve() and
  // of loading.
  static Result<std::unique_ptr<SentenceEncoder>> from_pretrained(
      const std::filesystem::path& directory, const LoadOptions& options, MethodResolver& methods);

  // The vector of a text, float32 [hidden_size] on the CPU; texts longer than the model are cut.
  Result<at::Tensor> embed(const std::string& text);

  const ComponentReport& report() const { return report_; }

 private:
  SentenceEncoder() = default;
  Status read_pooling(const std::filesystem::path& directory);

  std::unique_ptr<models::Tokenizer> tokenizer_;
  std::shared_ptr<models::BertEncoder> encoder_;
  at::Device device_ = at::kCPU;
  bool mean_ = true, normalise_ = false;
  ComponentReport report_;
};

}  // namespace precis::pipelines
