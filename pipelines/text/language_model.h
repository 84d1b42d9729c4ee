// Llama-style decoders on text: how well they predict one, and how they go on with one.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/llama/llama_decoder.h"
#include "models/tokenizers/tokenizer.h"
#include "pipelines/loader.h"

namespace precis::pipelines {

struct PerplexityOptions {
  int64_t context = 0;  // tokens the model sees at once; 0: what it was trained for, at most 2048
  int64_t stride = 0;   // tokens from one window to the next; 0: half of the context
  std::function<void(int64_t tokens, int64_t all)> progress;  // after every window; may be empty
};

// Natural logarithms throughout. Every token but the first is predicted once, in the first window
// that has it: the way transformers documents for models of fixed length.
struct Perplexity {
  int64_t tokens = 0;              // predicted
  double mean_log_likelihood = 0;  // perplexity is exp of its negative
  double perplexity() const;
};

// Of a model beside another one on the same text, as llama-perplexity --kl-divergence compares.
struct Divergence {
  Perplexity model, reference;
  double mean_divergence = 0;   // of the reference's distribution from the model's
  double same_token_share = 0;  // of the tokens that both find likeliest, 0 to 1
};

struct CompletionOptions {
  int64_t tokens = 64;                                    // at most
  double temperature = 0;                                 // 0: always the likeliest token
  uint64_t seed = 0;                                      // of torch's CPU generator
  std::function<void(const std::string& text)> progress;  // the text so far; may be empty
};

// One thread at a time.
class LanguageModel {
 public:
  // Reads a LlamaForCausalLM directory with a sentencepiece tokenizer. Errors: unsupported for
  // other architectures and tokenizers; those of resolve() and of loading.
  static Result<std::unique_ptr<LanguageModel>> from_pretrained(
      const std::filesystem::path& directory, const LoadOptions& options, MethodResolver& methods);

  // Errors: invalid_argument for a text that is not UTF-8 or has fewer than two tokens, a context
  // that the model does not have, or a stride beyond it; out_of_memory for a context whose
  // activations do not fit what the system has to give.
  Result<Perplexity> perplexity(const std::string& text, const PerplexityOptions& options);
  // Both models have the same tokenizer. Errors: those of perplexity(); invalid_argument for
  // vocabularies of different sizes.
  Result<Divergence> diverge(LanguageModel& reference, const std::string& text,
                             const PerplexityOptions& options);

  // The text that follows `prompt`, until the end-of-text token. Errors: invalid_argument when the
  // prompt and options.tokens do not fit the model's context.
  Result<std::string> complete(const std::string& prompt, const CompletionOptions& options);

  const ComponentReport& report() const { return report_; }

 private:
  LanguageModel() = default;
  Status score(const std::string& text, PerplexityOptions options, LanguageModel* reference,
               Divergence& out);
  Status check_memory(int64_t tokens) const;

  std::unique_ptr<models::Tokenizer> tokenizer_;
  std::shared_ptr<models::LlamaDecoder> decoder_;
  nlohmann::json config_;  // config.json
  at::Device device_ = at::kCPU;
  int64_t context_ = 0;
  at::ScalarType dtype_ = at::kFloat;  // that the decoder works in
  std::vector<int64_t> end_ids_;
  ComponentReport report_;
};

}  // namespace precis::pipelines
