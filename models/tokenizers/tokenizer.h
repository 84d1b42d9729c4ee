// From texts to token ids.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace precis::models {

// Error invalid_argument when a text is not UTF-8; `what` names it: "the prompt". Tokenizers take
// nothing else.
Status check_text(std::string_view text, std::string_view what);

// Fixed-length input of a text encoder.
struct TokenIds {
  std::vector<int64_t> ids;
  std::vector<int64_t> mask;  // 1 for tokens, 0 for padding
};

// Immutable; may be used from any thread.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // The ids of a text with its special tokens, of any length.
  virtual std::vector<int64_t> encode(const std::string& text) const = 0;
  // The text that `ids` add behind the text of `before`. Error unsupported: the tokenizer of a text
  // encoder, whose ids nobody reads.
  virtual Result<std::string> decode_after(const std::vector<int64_t>& before,
                                           const std::vector<int64_t>& ids) const;
  // Truncated and padded to `length`; the closing special token stays.
  TokenIds encode_padded(const std::string& text, int64_t length) const;
  // From tokenizer_config.json; 0 when it has none.
  int64_t max_length() const { return max_length_; }

 protected:
  int64_t pad_id_ = 0, end_id_ = 0, max_length_ = 0;
};

// The tokenizer of a directory by the class of its tokenizer_config.json: BertTokenizer(Fast),
// CLIPTokenizer(Fast), LlamaTokenizer(Fast), T5Tokenizer(Fast). Errors: io, data_loss and
// unsupported, naming the file.
Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::filesystem::path& directory);

}  // namespace precis::models
