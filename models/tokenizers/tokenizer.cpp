#include "models/tokenizers/tokenizer.h"

#include <fmt/format.h>

#include "core/format/utf8.h"
#include "models/json_file.h"
#include "models/tokenizers/clip_bpe.h"
#include "models/tokenizers/sentence_piece.h"
#include "models/tokenizers/tokenizer_config.h"
#include "models/tokenizers/word_piece.h"

namespace precis::models {

Status check_text(std::string_view text, std::string_view what) {
  if (is_utf8(text)) return {};
  return Error(ErrorCode::invalid_argument, fmt::format("{} is not UTF-8", what),
               "give it in UTF-8: iconv -t UTF-8 turns others into it");
}

Result<std::string> Tokenizer::decode_after(const std::vector<int64_t>&,
                                            const std::vector<int64_t>&) const {
  return Error(ErrorCode::unsupported, "this tokenizer turns texts into ids only");
}

TokenIds Tokenizer::encode_padded(const std::string& text, int64_t length) const {
  TokenIds result{encode(text), {}};
  const auto size = static_cast<std::size_t>(length);
  if (result.ids.size() > size) {
    result.ids.resize(size);
    result.ids.back() = end_id_;
  }
  result.mask.assign(result.ids.size(), 1);
  result.ids.resize(size, pad_id_);
  result.mask.resize(size, 0);
  return result;
}

Result<std::unique_ptr<Tokenizer>> open_tokenizer(const std::filesystem::path& directory) {
  const auto file = directory / "tokenizer_config.json";
  PRECIS_ASSIGN(const auto config, read_json_file(file));
  auto kind = special_token(config, "tokenizer_class", "");
  if (kind.ends_with("Fast")) kind.resize(kind.size() - 4);
  if (kind == "CLIPTokenizer") return ClipBpe::open(directory, config);
  if (kind == "T5Tokenizer" || kind == "LlamaTokenizer") {
    return SentencePiece::open(directory, config);
  }
  if (kind == "BertTokenizer") return WordPiece::open(directory, config);
  return Error(ErrorCode::unsupported,
               fmt::format("{}: tokenizer_class '{}' is not supported", file.string(), kind),
               "supported: BertTokenizer, CLIPTokenizer, LlamaTokenizer, T5Tokenizer");
}

std::string special_token(const nlohmann::json& config, const char* key,
                          const std::string& fallback) {
  const auto found = config.find(key);
  if (found == config.end()) return fallback;
  if (found->is_string()) return found->get<std::string>();
  if (found->is_object()) return special_token(*found, "content", fallback);
  return fallback;
}

int64_t model_max_length(const nlohmann::json& config) {
  const auto found = config.find("model_max_length");
  if (found == config.end() || !found->is_number()) return 0;
  const auto value = found->get<double>();
  return value > 0 && value < 1e9 ? static_cast<int64_t>(value) : 0;
}

}  // namespace precis::models
