#include "pipelines/text/language_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/byte_size.h"
#include "core/engine/memory_usage.h"
#include "models/activation_memory.h"
#include "models/config.h"
#include "pipelines/latents.h"

namespace precis::pipelines {
namespace {

constexpr int64_t kMostContext = 2048;  // by default

// 'eos_token_id' is a number or a list of them.
std::vector<int64_t> end_ids(const nlohmann::json& config) {
  const auto found = config.find("eos_token_id");
  if (found == config.end()) return {};
  if (found->is_number_integer()) return {found->get<int64_t>()};
  return models::config_value<std::vector<int64_t>>(config, "eos_token_id", {});
}

// Of the tokens `targets` [n] under logits [n, vocab_size].
double log_likelihood(const at::Tensor& log_probabilities, const at::Tensor& targets) {
  return log_probabilities.gather(1, targets.unsqueeze(1)).to(at::kDouble).sum().item<double>();
}

}  // namespace

double Perplexity::perplexity() const {
  return std::exp(-mean_log_likelihood);
}

Result<std::unique_ptr<LanguageModel>> LanguageModel::from_pretrained(
    const std::filesystem::path& directory, const LoadOptions& options, MethodResolver& methods) {
  PRECIS_ASSIGN(const Checkpoint checkpoint, open_checkpoint(directory, {options.variant}));
  if (checkpoint.kind != CheckpointKind::model_directory ||
      checkpoint.components.front().class_name != "LlamaForCausalLM") {
    return Error(ErrorCode::unsupported,
                 fmt::format("{}: is not a LlamaForCausalLM directory", directory.string()),
                 "text is predicted by models of Llama's shape");
  }
  PRECIS_ASSIGN(const Plan plan, resolve_in_memory(checkpoint, options, methods));
  const c10::InferenceMode inference;
  Loader loader(checkpoint, plan, options, methods);
  std::unique_ptr<LanguageModel> result(new LanguageModel());
  return catch_load_errors(directory, [&]() -> Result<std::unique_ptr<LanguageModel>> {
    const nlohmann::json& config = checkpoint.components.front().config;
    result->tokenizer_ = loader.tokenizer("");
    result->config_ = config;
    result->dtype_ = options.dtype;
    result->context_ = models::config_size(config, "max_position_embeddings", 2048);
    result->end_ids_ = end_ids(config);
    result->decoder_ = loader.network<models::LlamaDecoder>("", /*partial=*/false);
    loader.place();
    result->device_ = loader.device_of("");
    loader.fill();
    result->report_ = loader.reports().front();
    return std::move(result);
  });
}

// On the CPU torch has no other way to say that there is no memory left than to end the process.
Status LanguageModel::check_memory(int64_t tokens) const {
  if (!device_.is_cpu()) return {};
  const auto activations =
      models::activation_bytes("LlamaForCausalLM", config_, {.tokens = tokens}, dtype_);
  const auto available = available_memory_bytes();
  if (!available || *activations <= static_cast<double>(*available)) return {};
  return Error(
      ErrorCode::out_of_memory,
      fmt::format("a context of {} tokens takes about {}, the system has {} to give", tokens,
                  format_bytes(static_cast<uint64_t>(*activations)), format_bytes(*available)),
      "take a smaller --context");
}

Status LanguageModel::score(const std::string& text, PerplexityOptions options,
                            LanguageModel* reference, Divergence& out) {
  if (options.context == 0) options.context = std::min(context_, kMostContext);
  if (options.stride == 0) options.stride = std::max<int64_t>(1, options.context / 2);
  if (options.context < 2 || options.context > context_ || options.stride < 1 ||
      options.stride >= options.context) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("a context of {} and a stride of {} do not fit: the model takes {} "
                             "tokens",
                             options.context, options.stride, context_),
                 "2 <= context <= that, and 1 <= stride < context");
  }
  PRECIS_TRY(models::check_text(text, "the text"));
  const at::Tensor ids = token_row(tokenizer_->encode(text), device_).squeeze(0);
  const int64_t count = ids.size(0);
  if (count < 2) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("the text has {} tokens: there is nothing to predict", count));
  }
  PRECIS_TRY(check_memory(std::min(options.context, count)));
  const c10::InferenceMode inference;
  double likelihood = 0, reference_likelihood = 0, divergence = 0, same = 0;
  for (int64_t begin = 0, done = 1; done < count; begin += options.stride) {
    const int64_t end = std::min(begin + options.context, count);
    const at::Tensor window = ids.slice(0, begin, end).unsqueeze(0);
    const at::Tensor targets = ids.slice(0, done, end);
    const auto predictions = [&](LanguageModel& model) {
      const at::Tensor logits = model.decoder_->forward(window.to(model.device_))[0].to(device_);
      return logits.slice(0, done - 1 - begin, end - 1 - begin).to(at::kFloat).log_softmax(1);
    };
    const at::Tensor ours = predictions(*this);
    likelihood += log_likelihood(ours, targets);
    if (reference != nullptr) {
      const at::Tensor theirs = predictions(*reference);
      if (theirs.size(1) != ours.size(1)) {
        return Error(ErrorCode::invalid_argument,
                     fmt::format("the models have vocabularies of {} and {} tokens", ours.size(1),
                                 theirs.size(1)),
                     "compare a model with its own float form");
      }
      reference_likelihood += log_likelihood(theirs, targets);
      divergence += (theirs.exp() * (theirs - ours)).to(at::kDouble).sum().item<double>();
      same += ours.argmax(1).eq(theirs.argmax(1)).sum().item<double>();
    }
    done = end;
    if (options.progress) options.progress(done, count);
  }
  const auto predicted = static_cast<double>(count - 1);
  out.model = {count - 1, likelihood / predicted};
  out.reference = {count - 1, reference_likelihood / predicted};
  out.mean_divergence = divergence / predicted;
  out.same_token_share = same / predicted;
  return {};
}

Result<Perplexity> LanguageModel::perplexity(const std::string& text,
                                             const PerplexityOptions& options) {
  Divergence result;
  try {
    PRECIS_TRY(score(text, options, nullptr, result));
  } catch (const c10::Error& failure) {
    return torch_error(failure);
  }
  return result.model;
}

Result<Divergence> LanguageModel::diverge(LanguageModel& reference, const std::string& text,
                                          const PerplexityOptions& options) {
  Divergence result;
  try {
    PRECIS_TRY(score(text, options, &reference, result));
  } catch (const c10::Error& failure) {
    return torch_error(failure);
  }
  return result;
}

Result<std::string> LanguageModel::complete(const std::string& prompt,
                                            const CompletionOptions& options) {
  PRECIS_TRY(models::check_text(prompt, "the prompt"));
  std::vector<int64_t> ids = tokenizer_->encode(prompt);
  // Some tokenizers close every text.
  while (!ids.empty() && std::count(end_ids_.begin(), end_ids_.end(), ids.back()) > 0)
    ids.pop_back();
  const auto given = static_cast<int64_t>(ids.size());
  if (given == 0 || options.tokens < 1 || options.tokens > context_ - given) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("a prompt of {} tokens and {} new ones: the model takes 1 to {} "
                             "together",
                             given, options.tokens, context_));
  }
  const c10::InferenceMode inference;
  const auto generator = at::make_generator<at::CPUGeneratorImpl>(options.seed);
  models::KeyValueCache cache;
  std::string text;
  try {
    at::Tensor input = token_row(ids, device_).squeeze(0);
    std::vector<int64_t> made;
    for (int64_t i = 0; i < options.tokens; ++i) {
      const at::Tensor logits =
          decoder_->forward(input.unsqueeze(0), &cache)[0][-1].to(at::kCPU, at::kFloat);
      const at::Tensor next =
          options.temperature > 0
              ? at::multinomial((logits / options.temperature).softmax(0), 1, false, generator)
              : logits.argmax(0, /*keepdim=*/true);
      const int64_t id = next.item<int64_t>();
      if (std::count(end_ids_.begin(), end_ids_.end(), id) > 0) break;
      made.push_back(id);
      PRECIS_ASSIGN(text, tokenizer_->decode_after(ids, made));
      if (options.progress) options.progress(text);
      input = next.to(device_);
    }
  } catch (const c10::Error& failure) {
    return torch_error(failure);
  }
  return text;
}

}  // namespace precis::pipelines
