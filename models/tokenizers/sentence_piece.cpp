#include "models/tokenizers/sentence_piece.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include "models/config.h"
#include "models/json_file.h"
#include "models/tokenizers/tokenizer_config.h"

namespace precis::models {
namespace {

// Which special tokens enclose a text.
struct Enclosing {
  bool begin = true, end = false;
};

// As the post-processor of tokenizer.json has it, which overrules tokenizer_config.json.
Result<Enclosing> llama_enclosing(const std::filesystem::path& directory,
                                  const nlohmann::json& config) {
  const Enclosing configured{config_value(config, "add_bos_token", true),
                             config_value(config, "add_eos_token", false)};
  const auto file = directory / "tokenizer.json";
  if (!std::filesystem::exists(file)) return configured;
  PRECIS_ASSIGN(const auto document, read_json_file(file));
  const auto processor = document.find("post_processor");
  if (processor == document.end() || !processor->is_object()) return configured;
  const auto single = processor->find("single");
  if (single == processor->end() || !single->is_array() || single->empty()) return configured;
  return Enclosing{single->front().contains("SpecialToken"),
                   single->back().contains("SpecialToken")};
}

}  // namespace

SentencePiece::SentencePiece()
    : processor_(std::make_unique<sentencepiece::SentencePieceProcessor>()) {}
SentencePiece::~SentencePiece() = default;

Result<std::unique_ptr<Tokenizer>> SentencePiece::open(const std::filesystem::path& directory,
                                                       const nlohmann::json& config) {
  const auto t5_file = directory / "spiece.model";
  const bool t5 = std::filesystem::exists(t5_file);
  const auto file = t5 ? t5_file : directory / "tokenizer.model";
  if (!std::filesystem::exists(file)) {
    return Error(
        ErrorCode::io,
        fmt::format("{}: neither spiece.model nor tokenizer.model is there", directory.string()),
        "a tokenizer.json alone is not read; take the original sentencepiece model");
  }
  auto tokenizer = std::make_unique<SentencePiece>();
  const auto status = tokenizer->processor_->Load(file.string());
  if (!status.ok()) {
    return Error(ErrorCode::data_loss, fmt::format("{}: {}", file.string(), status.message()));
  }
  const auto id_of = [&](const char* key, const char* fallback) {
    return static_cast<int64_t>(
        tokenizer->processor_->PieceToId(special_token(config, key, fallback)));
  };
  tokenizer->end_id_ = id_of("eos_token", "</s>");
  tokenizer->pad_id_ = id_of("pad_token", "<pad>");
  if (!t5) {
    tokenizer->drop_blank_ = true;
    PRECIS_ASSIGN(const Enclosing enclosing, llama_enclosing(directory, config));
    tokenizer->add_begin_ = enclosing.begin;
    tokenizer->add_end_ = enclosing.end;
  }
  tokenizer->max_length_ = model_max_length(config);
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

std::vector<int64_t> SentencePiece::encode(const std::string& text) const {
  // transformers 5 puts a blank before a text that has none; sentencepiece would add a second one.
  const bool blank = drop_blank_ && text.size() > 1 && text.front() == ' ';
  const std::vector<int> pieces = processor_->EncodeAsIds(blank ? text.substr(1) : text);
  std::vector<int64_t> ids;
  if (add_begin_) ids.push_back(processor_->bos_id());
  ids.insert(ids.end(), pieces.begin(), pieces.end());
  if (add_end_) ids.push_back(end_id_);
  return ids;
}

Result<std::string> SentencePiece::decode_after(const std::vector<int64_t>& before,
                                                const std::vector<int64_t>& ids) const {
  // Decoded together: a blank at the start of a text is dropped, and bytes of one character may be
  // tokens of their own.
  std::vector<int> all(before.begin(), before.end());
  const std::string head = processor_->DecodeIds(all);
  all.insert(all.end(), ids.begin(), ids.end());
  return processor_->DecodeIds(all).substr(head.size());
}

}  // namespace precis::models
