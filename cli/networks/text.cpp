// precis perplexity and precis complete: Llama-style decoders.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>

#include "cli/networks/commands.h"
#include "cli/table.h"
#include "core/base/byte_size.h"
#include "core/base/output_file.h"
#include "pipelines/text/language_model.h"

namespace precis::cli {
namespace {

using pipelines::LanguageModel;

constexpr uint64_t kLongestText = uint64_t{1} << 30;

struct ModelOptions {
  std::string source, method, dtype = "f32", device = "cpu";
  std::vector<std::string> skips;
};

void add_model_options(CLI::App& command, ModelOptions& options) {
  command.add_option("DIR", options.source, "a LlamaForCausalLM directory")->required();
  command.add_option("--type", options.method, "method of the weights while they are loaded")
      ->type_name("SPEC");
  command.add_option("--skip", options.skips, "weights that stay as they are; repeatable")
      ->type_name("REGEX");
  command.add_option("--dtype", options.dtype, "of everything not quantized: f32, bf16, f16")
      ->capture_default_str();
  add_device_option(command, options.device);
}

Result<std::unique_ptr<LanguageModel>> load(const ModelOptions& options, bool quantized,
                                            Session& session) {
  pipelines::LoadOptions load;
  PRECIS_ASSIGN(load.dtype, activation_dtype(options.dtype));
  load.device = options.device;
  if (quantized) {
    load.methods.type = options.method;
    load.methods.skips = options.skips;
  }
  return LanguageModel::from_pretrained(options.source, load, session.resolver());
}

nlohmann::ordered_json model_json(const LanguageModel& model) {
  return {{"method", model.report().method},
          {"source_bytes", model.report().source_bytes},
          {"loaded_bytes", model.report().loaded_bytes}};
}

struct PerplexityCommand {
  ModelOptions model;
  std::string file, float_source;
  pipelines::PerplexityOptions windows;
  bool compare_float = false;
};

void show_tokens(int64_t done, int64_t all) {
  fmt::print(stderr, "\r{}/{} tokens{}", done, all, done == all ? "\n" : "");
}

nlohmann::ordered_json to_json(const pipelines::Perplexity& result) {
  return {{"tokens", result.tokens},
          {"mean_log_likelihood", result.mean_log_likelihood},
          {"perplexity", result.perplexity()}};
}

Result<nlohmann::ordered_json> perplexity(const PerplexityCommand& options, Session& session) {
  PRECIS_ASSIGN(const std::string text, read_file(options.file, kLongestText));
  PRECIS_TRY(models::check_text(text, options.file));
  PRECIS_ASSIGN(const auto model, load(options.model, true, session));
  std::unique_ptr<LanguageModel> reference;
  if (options.compare_float || !options.float_source.empty()) {
    ModelOptions plain = options.model;
    if (!options.float_source.empty()) plain.source = options.float_source;
    PRECIS_ASSIGN(reference, load(plain, false, session));
    if (!reference->report().method.empty()) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("--compare-float: {} is stored as {}: it has no float form",
                               plain.source, reference->report().method),
                   "name the float model with --float DIR");
    }
  }
  const auto start = std::chrono::steady_clock::now();
  pipelines::Divergence result;
  if (reference != nullptr) {
    PRECIS_ASSIGN(result, model->diverge(*reference, text, options.windows));
  } else {
    PRECIS_ASSIGN(result.model, model->perplexity(text, options.windows));
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  nlohmann::ordered_json report = model_json(*model);
  report.update(to_json(result.model));
  report["seconds"] = took.count();
  std::vector<std::vector<std::string>> rows{{"", "method", "in memory", "perplexity"}};
  rows.push_back({"model", model->report().method, format_bytes(model->report().loaded_bytes),
                  fmt::format("{:.4f}", result.model.perplexity())});
  std::string comparison;
  if (reference != nullptr) {
    report["float"] = to_json(result.reference);
    report["mean_divergence"] = result.mean_divergence;
    report["same_token_share"] = result.same_token_share;
    rows.push_back({"float", "-", format_bytes(reference->report().loaded_bytes),
                    fmt::format("{:.4f}", result.reference.perplexity())});
    comparison = fmt::format("divergence from float {:.6f}, same likeliest token {:.2f} %\n",
                             result.mean_divergence, 100 * result.same_token_share);
  }
  session.show(fmt::format("{}{} tokens in {:.1f} s\n{}", format_table(rows, 2),
                           result.model.tokens, took.count(), comparison));
  return report;
}

struct CompleteCommand {
  ModelOptions model;
  std::string prompt;
  pipelines::CompletionOptions completion;
};

Result<nlohmann::ordered_json> complete(const CompleteCommand& options, Session& session) {
  PRECIS_TRY(models::check_text(options.prompt, "--prompt"));
  PRECIS_ASSIGN(const auto model, load(options.model, true, session));
  pipelines::CompletionOptions completion = options.completion;
  // Written as it comes; what is shown already is not shown again.
  std::size_t shown = 0;
  if (!session.json) {
    completion.progress = [&](const std::string& text) {
      session.show(text.substr(shown));
      std::fflush(stdout);
      shown = text.size();
    };
  }
  PRECIS_ASSIGN(const std::string text, model->complete(options.prompt, completion));
  session.show("\n");
  nlohmann::ordered_json report = model_json(*model);
  report["text"] = text;
  return report;
}

// What the commands have in common once their options are read.
template <typename Run>
void finish(Session& session, int& result, const Run& run) {
  session.apply();
  if (session.threads > 0u) at::set_num_threads(static_cast<int>(*session.threads));
  auto report = run();
  if (!report.ok()) {
    result = session.fail(report.error());
    return;
  }
  if (session.json) session.print(*report);
  result = kDone;
}

}  // namespace

void add_perplexity(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand("perplexity", "how well a Llama-style model predicts a text");
  auto options = std::make_shared<PerplexityCommand>();
  add_model_options(*command, options->model);
  command->add_option("-f,--file", options->file, "the text, UTF-8")->required();
  command->add_option("--context", options->windows.context,
                      "tokens seen at once; default: the model's, at most 2048");
  command->add_option("--stride", options->windows.stride,
                      "tokens between windows; default: half the context");
  command->add_flag("--compare-float", options->compare_float,
                    "beside the model without methods: perplexity and divergence");
  command->add_option("--float", options->float_source, "compare with this float model instead")
      ->type_name("DIR");
  session.add_options(*command);
  command->callback([options, &session, &result] {
    if (!session.quiet && isatty(STDERR_FILENO) != 0) options->windows.progress = show_tokens;
    finish(session, result, [&] { return perplexity(*options, session); });
  });
}

void add_complete(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand("complete", "how a Llama-style model goes on with a text");
  auto options = std::make_shared<CompleteCommand>();
  add_model_options(*command, options->model);
  command->add_option("--prompt", options->prompt, "the text's beginning")->required();
  command->add_option("--tokens", options->completion.tokens, "at most")->capture_default_str();
  command
      ->add_option("--temperature", options->completion.temperature,
                   "0: always the likeliest token")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--seed", options->completion.seed, "of torch's generator")
      ->capture_default_str();
  session.add_options(*command);
  command->callback([options, &session, &result] {
    finish(session, result, [&] { return complete(*options, session); });
  });
}

}  // namespace precis::cli
