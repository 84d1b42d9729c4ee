#include "models/tokenizers/clip_bpe.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <array>
#include <fstream>
#include <limits>

#include "models/json_file.h"
#include "models/tokenizers/tokenizer_config.h"
#include "models/tokenizers/unicode.h"

namespace precis::models {
namespace {

// GPT-2's printable stand-ins: bytes that print stand for themselves, the others follow from U+0100
// in order.
std::array<std::string, 256> byte_symbols() {
  std::array<std::string, 256> symbols;
  char32_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) ||
                        (byte >= 0xAE && byte <= 0xFF);
    const char32_t code = prints ? static_cast<char32_t>(byte) : next++;
    symbols[byte] = utf8(code);
  }
  return symbols;
}

const std::string& symbol(unsigned char byte) {
  static const auto symbols = byte_symbols();
  return symbols[byte];
}

// Contractions, runs of letters, single digits, runs of anything else but space.
const re2::RE2& word_pattern() {
  static const re2::RE2 pattern(
      R"(('s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{Z}\p{L}\p{N}\x{0b}\x{85}]+))");
  return pattern;
}

Result<std::unordered_map<std::string, int64_t>> read_merges(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) return Error(ErrorCode::io, fmt::format("{}: cannot be read", path.string()));
  std::unordered_map<std::string, int64_t> ranks;
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line.rfind("#version", 0) == 0) continue;
    if (line.find(' ') == std::string::npos) {
      return Error(ErrorCode::data_loss,
                   fmt::format("{}: '{}' is not two symbols", path.string(), line));
    }
    ranks.emplace(line, static_cast<int64_t>(ranks.size()));
  }
  return ranks;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> ClipBpe::open(const std::filesystem::path& directory,
                                                 const nlohmann::json& config) {
  auto tokenizer = std::make_unique<ClipBpe>();
  PRECIS_ASSIGN(const auto vocabulary, read_json_file(directory / "vocab.json"));
  for (const auto& [token, id] : vocabulary.items()) {
    if (!id.is_number_integer()) {
      return Error(ErrorCode::data_loss, fmt::format("{}: '{}' has no number",
                                                     (directory / "vocab.json").string(), token));
    }
    tokenizer->ids_.emplace(token, id.get<int64_t>());
  }
  PRECIS_ASSIGN(tokenizer->ranks_, read_merges(directory / "merges.txt"));
  const auto special = [&](const char* key, std::string& text, int64_t& id) -> Status {
    text = special_token(config, key, text);
    const auto found = tokenizer->ids_.find(text);
    if (found == tokenizer->ids_.end()) {
      return Error(ErrorCode::data_loss,
                   fmt::format("{}: {} '{}' is not in vocab.json", directory.string(), key, text));
    }
    id = found->second;
    return {};
  };
  tokenizer->begin_ = "<|startoftext|>";
  tokenizer->end_ = "<|endoftext|>";
  PRECIS_TRY(special("bos_token", tokenizer->begin_, tokenizer->begin_id_));
  PRECIS_TRY(special("eos_token", tokenizer->end_, tokenizer->end_id_));
  std::string unknown = tokenizer->end_, pad = tokenizer->end_;
  PRECIS_TRY(special("unk_token", unknown, tokenizer->unknown_id_));
  PRECIS_TRY(special("pad_token", pad, tokenizer->pad_id_));
  tokenizer->max_length_ = model_max_length(config);
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

void ClipBpe::append_word(std::string_view word, std::vector<int64_t>& ids) const {
  std::vector<std::string> parts;
  for (const char c : word) parts.push_back(symbol(static_cast<unsigned char>(c)));
  parts.back() += "</w>";
  while (parts.size() > 1) {
    int64_t best_rank = std::numeric_limits<int64_t>::max();
    std::size_t best = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks_.find(parts[i] + " " + parts[i + 1]);
      if (found == ranks_.end() || found->second >= best_rank) continue;
      best_rank = found->second;
      best = i;
    }
    if (best_rank == std::numeric_limits<int64_t>::max()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  for (const auto& part : parts) {
    const auto found = ids_.find(part);
    ids.push_back(found == ids_.end() ? unknown_id_ : found->second);
  }
}

void ClipBpe::append_text(std::string_view text, std::vector<int64_t>& ids) const {
  const std::string lower = lower_case(composed(text));
  re2::StringPiece rest(lower), word;
  while (re2::RE2::FindAndConsume(&rest, word_pattern(), &word)) {
    append_word({word.data(), word.size()}, ids);
  }
}

std::vector<int64_t> ClipBpe::encode(const std::string& text) const {
  std::vector<int64_t> ids{begin_id_};
  // Special tokens inside of the text stand for themselves.
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto at = std::min(rest.find(begin_), rest.find(end_));
    append_text(rest.substr(0, at), ids);
    if (at == std::string_view::npos) break;
    const bool begins = rest.substr(at).starts_with(begin_);
    ids.push_back(begins ? begin_id_ : end_id_);
    rest.remove_prefix(at + (begins ? begin_ : end_).size());
  }
  ids.push_back(end_id_);
  return ids;
}

}  // namespace precis::models
