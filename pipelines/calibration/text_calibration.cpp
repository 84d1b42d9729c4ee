#include "pipelines/calibration/text_calibration.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/base/output_file.h"
#include "core/base/sha256.h"
#include "models/text_network.h"
#include "models/tokenizers/tokenizer.h"
#include "pipelines/loader.h"
#include "pipelines/networks.h"

namespace precis::pipelines {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kLargestTextFile = uint64_t{1} << 30;

// Of a component of a pipeline: "tokenizer_2" beside "text_encoder_2".
fs::path tokenizer_directory(const fs::path& model, const CalibrationTexts& texts) {
  if (!texts.tokenizer.empty()) return texts.tokenizer;
  std::error_code error;
  const fs::path directory = model.filename().empty() ? model.parent_path() : model;
  if (fs::exists(directory / "tokenizer_config.json", error)) return directory;
  const std::string name = directory.filename().string();
  constexpr std::string_view kEncoder = "text_encoder";
  if (!name.starts_with(kEncoder)) return directory;
  return directory.parent_path() / ("tokenizer" + name.substr(kEncoder.size()));
}

Status enter(models::TextNetwork& network, const models::Tokenizer& tokenizer,
             const CalibrationTexts& texts, NetworkCalibration& calibration) {
  const std::size_t count = std::min(texts.samples, texts.texts.size());
  // Tokenizers of models without a limit of their own say so with a huge number, or with 0.
  const int64_t limit = tokenizer.max_length() > 0
                            ? std::min(texts.max_tokens, tokenizer.max_length())
                            : texts.max_tokens;
  for (std::size_t i = 0; i < count; ++i) {
    const auto whole = static_cast<int64_t>(tokenizer.encode(texts.texts[i]).size());
    if (whole == 0) continue;
    const auto ids = tokenizer.encode_padded(texts.texts[i], std::min(whole, limit)).ids;
    ++calibration.texts;
    calibration.tokens += ids.size();
    calibration.longest_tokens = std::max(calibration.longest_tokens, ids.size());
    calibration.samples.push_back(network.enter(at::tensor(ids).unsqueeze(0)));
  }
  if (calibration.samples.empty()) {
    return Error(ErrorCode::invalid_argument, "there is no text to calibrate with",
                 "a file of texts has one in every line");
  }
  return {};
}

}  // namespace

std::string CalibrationTexts::fingerprint() const {
  Sha256 hash;
  hash.update(fmt::format("{}|{}|{}", samples, max_tokens, tokenizer.string()));
  for (std::size_t i = 0; i < std::min(samples, texts.size()); ++i) {
    hash.update(texts[i]);
    hash.update("\n");
  }
  return to_hex(hash.finish());
}

Result<std::vector<std::string>> read_texts(const fs::path& file) {
  PRECIS_ASSIGN(const std::string contents, read_file(file, kLargestTextFile));
  std::vector<std::string> texts;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < contents.size();) {
    const std::size_t end = std::min(contents.find('\n', begin), contents.size());
    std::string line = contents.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    ++number;
    PRECIS_TRY(models::check_text(line, fmt::format("{}: line {}", file.string(), number)));
    if (line.find_first_not_of(" \t") != std::string::npos) texts.push_back(std::move(line));
    begin = end + 1;
  }
  if (texts.empty()) {
    return Error(ErrorCode::invalid_argument, fmt::format("{}: holds no text", file.string()),
                 "a file of texts has one in every line");
  }
  return texts;
}

Result<NetworkCalibration> open_text_calibration(const fs::path& directory,
                                                 const std::string& variant,
                                                 const CalibrationTexts& texts,
                                                 MethodResolver& methods) {
  LoadOptions load;
  load.variant = variant;
  PRECIS_ASSIGN(auto loaded, load_network(directory, load, methods));
  auto* const network = dynamic_cast<models::TextNetwork*>(loaded.network.get());
  if (network == nullptr) {
    return Error(ErrorCode::unsupported,
                 fmt::format("{}: a {} does not read texts, so texts cannot calibrate it",
                             directory.string(), loaded.report.class_name),
                 "BERT, T5 and CLIP encoders and Llama decoders read texts; a pipeline's "
                 "transformer is calibrated when the pipeline is given, with --component "
                 "transformer=SPEC");
  }
  PRECIS_ASSIGN(const auto tokenizer,
                models::open_tokenizer(tokenizer_directory(directory, texts)));
  const c10::InferenceMode inference;
  return catch_load_errors(directory, [&]() -> Result<NetworkCalibration> {
    NetworkCalibration result;
    result.network = std::move(loaded.network);
    result.chain = network;
    PRECIS_TRY(enter(*network, *tokenizer, texts, result));
    return result;
  });
}

}  // namespace precis::pipelines
