#include "models/tokenizers/word_piece.h"

#include <fmt/format.h>

#include <fstream>

#include "models/config.h"
#include "models/tokenizers/tokenizer_config.h"
#include "models/tokenizers/unicode.h"

namespace precis::models {
namespace {

constexpr std::size_t kLongestWord = 100;  // in characters; longer ones are unknown

std::size_t characters(std::string_view utf8) {
  std::size_t count = 0;
  for (const char c : utf8) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> WordPiece::open(const std::filesystem::path& directory,
                                                   const nlohmann::json& config) {
  auto tokenizer = std::make_unique<WordPiece>();
  const auto path = directory / "vocab.txt";
  std::ifstream file(path);
  if (!file) return Error(ErrorCode::io, fmt::format("{}: cannot be read", path.string()));
  std::string line;
  for (int64_t id = 0; std::getline(file, line); ++id) tokenizer->ids_.emplace(line, id);
  const auto special = [&](const char* key, const char* fallback, int64_t& id) -> Status {
    const auto token = special_token(config, key, fallback);
    const auto found = tokenizer->ids_.find(token);
    if (found == tokenizer->ids_.end()) {
      return Error(ErrorCode::data_loss,
                   fmt::format("{}: {} '{}' is not in it", path.string(), key, token));
    }
    id = found->second;
    return {};
  };
  PRECIS_TRY(special("cls_token", "[CLS]", tokenizer->begin_id_));
  PRECIS_TRY(special("sep_token", "[SEP]", tokenizer->end_id_));
  PRECIS_TRY(special("pad_token", "[PAD]", tokenizer->pad_id_));
  PRECIS_TRY(special("unk_token", "[UNK]", tokenizer->unknown_id_));
  tokenizer->lower_case_ = config_value(config, "do_lower_case", true);
  tokenizer->strip_accents_ = config_value(config, "strip_accents", tokenizer->lower_case_);
  tokenizer->split_chinese_ = config_value(config, "tokenize_chinese_chars", true);
  tokenizer->max_length_ = model_max_length(config);
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

void WordPiece::append_word(std::string_view word, std::vector<int64_t>& ids) const {
  if (characters(word) > kLongestWord) {
    ids.push_back(unknown_id_);
    return;
  }
  std::vector<int64_t> pieces;
  std::size_t begin = 0;
  while (begin < word.size()) {
    std::size_t end = word.size();
    for (; end > begin; --end) {
      const auto piece = std::string(begin > 0 ? "##" : "").append(word.substr(begin, end - begin));
      const auto found = ids_.find(piece);
      if (found == ids_.end()) continue;
      pieces.push_back(found->second);
      break;
    }
    if (end == begin) {
      // A word with a part that is not in the vocabulary is unknown as a whole.
      ids.push_back(unknown_id_);
      return;
    }
    begin = end;
  }
  ids.insert(ids.end(), pieces.begin(), pieces.end());
}

std::vector<int64_t> WordPiece::encode(const std::string& text) const {
  std::string normal = clean(text, split_chinese_);
  if (strip_accents_) normal = without_accents(normal);
  if (lower_case_) normal = lower_case(normal);
  std::vector<int64_t> ids{begin_id_};
  for (const std::string& word : words_and_punctuation(normal)) append_word(word, ids);
  ids.push_back(end_id_);
  return ids;
}

}  // namespace precis::models
