#include "pipelines/sentence/sentence_encoder.h"

#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/base/output_file.h"
#include "models/config.h"
#include "models/json_file.h"
#include "pipelines/latents.h"

namespace precis::pipelines {

Status SentenceEncoder::read_pooling(const std::filesystem::path& directory) {
  const auto file = directory / "1_Pooling" / "config.json";
  if (std::filesystem::exists(file)) {
    PRECIS_ASSIGN(const auto pooling, models::read_json_file(file));
    const bool cls = models::config_value(pooling, "pooling_mode_cls_token", false);
    mean_ = models::config_value(pooling, "pooling_mode_mean_tokens", !cls);
    if (mean_ == cls) {
      return Error(ErrorCode::unsupported,
                   fmt::format("{}: neither the mean nor the cls token alone", file.string()));
    }
  }
  const auto modules = directory / "modules.json";
  if (std::filesystem::exists(modules)) {
    PRECIS_ASSIGN(const std::string text, read_file(modules, 1 << 20));
    for (const auto& module : nlohmann::json::parse(text, nullptr, false)) {
      if (!module.is_object()) continue;
      const auto type = models::config_value<std::string>(module, "type", "");
      if (type.ends_with(".Normalize")) normalise_ = true;
    }
  }
  return {};
}

Result<std::unique_ptr<SentenceEncoder>> SentenceEncoder::from_pretrained(
    const std::filesystem::path& directory, const LoadOptions& options, MethodResolver& methods) {
  PRECIS_ASSIGN(const Checkpoint checkpoint, open_checkpoint(directory, {options.variant}));
  if (checkpoint.kind != CheckpointKind::model_directory ||
      checkpoint.components.front().class_name != "BertModel") {
    return Error(ErrorCode::unsupported,
                 fmt::format("{}: is not a BertModel directory", directory.string()),
                 "texts are embedded by BERT models such as MiniLM");
  }
  PRECIS_ASSIGN(const Plan plan, resolve_in_memory(checkpoint, options, methods));
  const c10::InferenceMode inference;
  Loader loader(checkpoint, plan, options, methods);
  std::unique_ptr<SentenceEncoder> result(new SentenceEncoder());
  return catch_load_errors(directory, [&]() -> Result<std::unique_ptr<SentenceEncoder>> {
    PRECIS_TRY(result->read_pooling(directory));
    result->tokenizer_ = loader.tokenizer("");
    result->encoder_ = loader.network<models::BertEncoder>("", /*partial=*/true);
    loader.place();
    result->device_ = loader.device_of("");
    loader.fill();
    result->report_ = loader.reports().front();
    return std::move(result);
  });
}

Result<at::Tensor> SentenceEncoder::embed(const std::string& text) {
  PRECIS_TRY(models::check_text(text, "the text"));
  const c10::InferenceMode inference;
  const auto count = static_cast<int64_t>(tokenizer_->encode(text).size());
  const auto tokens = tokenizer_->encode_padded(text, std::min(count, encoder_->max_length()));
  const auto ids = token_row(tokens.ids, device_);
  const auto states = encoder_->forward(ids, at::ones_like(ids)).select(0, 0).to(at::kFloat);
  auto vector = mean_ ? states.mean(0) : states.select(0, 0);
  if (normalise_) vector = vector / vector.norm().clamp_min(1e-12);
  return vector.cpu();
}

}  // namespace precis::pipelines
