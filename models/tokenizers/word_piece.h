// BERT's word pieces: BertTokenizer of transformers 5.23.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>

#include "models/tokenizers/tokenizer.h"

namespace precis::models {

// Words and single punctuation marks, each taken apart from the left into the longest entries of
// vocab.txt; entries inside of a word begin with "##" (Devlin et al. 2018).
class WordPiece : public Tokenizer {
 public:
  // Reads vocab.txt. config: tokenizer_config.json. Errors: io and data_loss, naming the file.
  static Result<std::unique_ptr<Tokenizer>> open(const std::filesystem::path& directory,
                                                 const nlohmann::json& config);
  std::vector<int64_t> encode(const std::string& text) const override;

 private:
  void append_word(std::string_view word, std::vector<int64_t>& ids) const;

  std::unordered_map<std::string, int64_t> ids_;
  bool lower_case_ = true, strip_accents_ = true, split_chinese_ = true;
  int64_t begin_id_ = 0, unknown_id_ = 0;
};

}  // namespace precis::models
