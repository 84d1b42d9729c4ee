// sentencepiece models: T5Tokenizer and LlamaTokenizer of transformers 5.23.
#pragma once

#include <nlohmann/json.hpp>

#include "models/tokenizers/tokenizer.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace precis::models {

class SentencePiece : public Tokenizer {
 public:
  SentencePiece();
  ~SentencePiece() override;
  // Reads spiece.model (T5) or tokenizer.model (Llama). config: tokenizer_config.json. Errors: io
  // and data_loss, naming the file.
  static Result<std::unique_ptr<Tokenizer>> open(const std::filesystem::path& directory,
                                                 const nlohmann::json& config);
  std::vector<int64_t> encode(const std::string& text) const override;
  Result<std::string> decode_after(const std::vector<int64_t>& before,
                                   const std::vector<int64_t>& ids) const override;

 private:
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  bool add_begin_ = false, add_end_ = true, drop_blank_ = false;
};

}  // namespace precis::models
