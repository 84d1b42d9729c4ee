// CLIP's byte pair encoding: CLIPTokenizer of transformers 5.23.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>

#include "models/tokenizers/tokenizer.h"

namespace precis::models {

// Lower-cased words in bytes, merged pair by pair in the order of merges.txt; the last byte of a
// word carries "</w>" (Radford et al. 2021, section 2.3).
class ClipBpe : public Tokenizer {
 public:
  // Reads vocab.json, merges.txt. config: tokenizer_config.json. Errors: io and data_loss, naming
  // the file.
  static Result<std::unique_ptr<Tokenizer>> open(const std::filesystem::path& directory,
                                                 const nlohmann::json& config);
  std::vector<int64_t> encode(const std::string& text) const override;

 private:
  // The ids of one word.
  void append_word(std::string_view word, std::vector<int64_t>& ids) const;
  void append_text(std::string_view text, std::vector<int64_t>& ids) const;

  std::unordered_map<std::string, int64_t> ids_;
  std::unordered_map<std::string, int64_t> ranks_;  // "first second" to the order of merging
  std::string begin_, end_;
  int64_t begin_id_ = 0, unknown_id_ = 0;
};

}  // namespace precis::models
