#include "cli/plan_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "cli/table.h"
#include "core/base/byte_size.h"
#include "core/checkpoint/importance_matrix.h"
#include "registry/config/pipeline_config.h"

namespace precis::cli {
namespace {

Error not_an_assignment(const char* option, const std::string& text, const char* example) {
  return Error(ErrorCode::invalid_argument, fmt::format("{} '{}' is not NAME=SPEC", option, text),
               fmt::format("for example {} '{}'", option, example));
}

// Whether a text has the form of a config string or of a JSON object.
bool looks_like_spec(std::string_view text) {
  if (text.starts_with('{')) return true;
  const std::string_view head = text.substr(0, text.find(':'));
  return !head.empty() && std::all_of(head.begin(), head.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
  });
}

// "REGEX=SPEC". Both sides may hold '=' and ':', so the cut is at the first '=' behind which a spec
// can stand.
Result<std::pair<std::string, std::string>> split_rule(const std::string& text) {
  for (std::size_t equals = text.find('='); equals != std::string::npos;
       equals = text.find('=', equals + 1)) {
    if (equals > 0 && looks_like_spec(std::string_view(text).substr(equals + 1)))
      return std::pair(text.substr(0, equals), text.substr(equals + 1));
  }
  return not_an_assignment("--rule", text, "blocks\\.0\\.=q8_0");
}

// A cap below this is a number whose unit was forgotten.
constexpr uint64_t kLeastMemory = uint64_t{1} << 20;

Result<uint64_t> parse_size(const char* option, const std::string& text, uint64_t least) {
  auto size = parse_byte_size(text);
  if (!size.ok()) return std::move(size).error().with_context(option);
  if (*size >= least) return *size;
  return Error(ErrorCode::invalid_argument,
               fmt::format("{} '{}' is too small: at least {} are needed", option, text,
                           least == 1 ? "1 byte" : format_bytes(least)),
               "write a number with a unit, such as 512MiB or 4GiB");
}

// What the engine is asked for these wishes, beside what the command itself asks.
Result<ResolveOptions> engine_options(const Recipe& wishes, const ResolveOptions& extra,
                                      Session& session) {
  ResolveOptions options = extra;
  options.type = wishes.type;
  options.components = wishes.components;
  options.rules = wishes.rules;
  options.skips = wishes.skips;
  options.default_skips = wishes.default_skips;
  options.recipe = wishes.provenance();
  options.allow_requantize = wishes.allow_requantize;
  if (extra.recipe.is_object()) options.recipe.update(extra.recipe);
  if (!wishes.max_memory.empty()) {
    PRECIS_ASSIGN(options.max_memory, parse_size("--max-memory", wishes.max_memory, kLeastMemory));
  }
  if (!wishes.max_shard_size.empty()) {
    PRECIS_ASSIGN(options.max_shard_bytes,
                  parse_size("--max-shard-size", wishes.max_shard_size, 1));
  }
  if (!wishes.imatrix.empty()) {
    PRECIS_ASSIGN(options.importance, ImportanceMatrix::read(wishes.imatrix));
    options.recipe["imatrix"] = {
        {"file", std::filesystem::path(wishes.imatrix).filename().string()},
        {"sha256", options.importance->sha256()}};
  }
  options.threads = session.pool().concurrency();
  return options;
}

}  // namespace

Result<std::pair<std::string, std::string>> split_assignment(const std::string& text,
                                                             const char* option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    return not_an_assignment(option, text, "transformer=nf4");
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

void PlanOptions::add_options(CLI::App& command, Session& session) {
  command
      .add_option("PATH", source,
                  "a diffusers pipeline, a model directory, a .safetensors or a .gguf")
      ->required();
  command
      .add_option("--type", type, "method for every weight: nf4, q4_k, quanto:weights=int4, ...")
      ->type_name("SPEC");
  command
      .add_option("--component", components, "method for a component; repeatable; 'keep' leaves it")
      ->type_name("NAME=SPEC")
      ->allow_extra_args(false);
  command
      .add_option("--rule", rules,
                  "method for the tensors a regular expression finds; the last match wins")
      ->type_name("REGEX=SPEC")
      ->allow_extra_args(false);
  command.add_option("--skip", skips, "tensors to leave as they are; repeatable")
      ->type_name("REGEX")
      ->allow_extra_args(false);
  command.add_flag("--no-default-skips", no_default_skips,
                   "do not spare the family's sensitive layers");
  command.add_option("--config", config, "a quantization config: a JSON or TOML file, or a text")
      ->type_name("FILE|STRING");
  command.add_option("--recipe", recipe, "options from a file that --emit-recipe wrote")
      ->type_name("FILE");
  command.add_option("--max-memory", max_memory, "cap on working memory; 4GiB when not given")
      ->type_name("SIZE");
  command
      .add_option("--max-shard-size", max_shard_size,
                  "largest output file of a component; 10GB when not given")
      ->type_name("SIZE");
  command.add_option("--imatrix", imatrix, "importance matrix of llama.cpp")->type_name("FILE");
  command.add_option("--variant", variant, "variant of the source's weight files, such as fp16")
      ->type_name("NAME");
  command.add_flag("--lenient", session.lenient,
                   "where Python would go on silently, warn instead of stopping");
  session.add_options(command);
}

Result<Recipe> PlanOptions::wishes(Session& session) const {
  Recipe wishes;
  if (!recipe.empty()) {
    PRECIS_ASSIGN(wishes, read_recipe(recipe));
  }
  const auto override = [](std::string& value, const std::string& given) {
    if (!given.empty()) value = given;
  };
  override(wishes.imatrix, imatrix);
  override(wishes.variant, variant);
  override(wishes.max_shard_size, max_shard_size);
  override(wishes.max_memory, max_memory);
  wishes.allow_requantize = wishes.allow_requantize || allow_requantize;
  wishes.default_skips = wishes.default_skips && !no_default_skips;
  session.lenient = wishes.lenient = wishes.lenient || session.lenient;
  if (!session.threads) session.threads = wishes.threads;
  wishes.threads = session.threads;
  wishes.skips.insert(wishes.skips.end(), skips.begin(), skips.end());
  return wishes;
}

Status PlanOptions::add_methods(const Checkpoint& checkpoint, Recipe& wishes) const {
  if (!config.empty()) {
    ResolveOptions asked;
    asked.type = wishes.type;
    asked.components = std::move(wishes.components);
    PRECIS_TRY(apply_pipeline_config(config, checkpoint, wishes.lenient, asked));
    wishes.type = std::move(asked.type);
    wishes.components = std::move(asked.components);
  }
  if (!type.empty()) wishes.type = type;
  for (const std::string& text : components) {
    PRECIS_ASSIGN(auto assignment, split_assignment(text, "--component"));
    wishes.components.push_back(std::move(assignment));
  }
  for (const std::string& text : rules) {
    PRECIS_ASSIGN(auto assignment, split_rule(text));
    wishes.rules.push_back(std::move(assignment));
  }
  return {};
}

Result<ResolveOptions> PlanOptions::resolve_options(const Checkpoint& checkpoint,
                                                    Session& session) const {
  PRECIS_ASSIGN(Recipe wishes, this->wishes(session));
  PRECIS_TRY(add_methods(checkpoint, wishes));
  return engine_options(wishes, {}, session);
}

Result<PlannedRun> PlanOptions::make_plan(Session& session, const ResolveOptions& extra) const {
  PRECIS_ASSIGN(Recipe wishes, this->wishes(session));
  PRECIS_ASSIGN(const Checkpoint checkpoint, open_checkpoint(source, {wishes.variant}));
  PRECIS_TRY(add_methods(checkpoint, wishes));
  PRECIS_ASSIGN(const ResolveOptions options, engine_options(wishes, extra, session));
  PRECIS_ASSIGN(Plan plan, resolve(checkpoint, options, session.resolver()));
  return PlannedRun{std::move(plan), std::move(wishes)};
}

std::string plan_table(const Plan& plan) {
  std::vector<std::vector<std::string>> rows{
      {"component", "method", "quantized", "kept", "source", "output", "bits/weight"}};
  for (const ComponentPlan& component : plan.components) {
    uint64_t quantized = 0, elements = 0;
    for (const TensorPlan& tensor : component.tensors) {
      quantized += tensor.action == Action::quantize ? 1 : 0;
      if (tensor.source.param.shape_known) elements += tensor.source.param.elements();
    }
    const double bits = elements == 0 ? 0
                                      : 8.0 * static_cast<double>(component.output_bytes) /
                                            static_cast<double>(elements);
    rows.push_back({component.name.empty() ? plan.source.filename().string() : component.name,
                    component.carried          ? "carried"
                    : component.method.empty() ? "-"
                                               : component.method,
                    std::to_string(quantized), std::to_string(component.tensors.size() - quantized),
                    format_bytes(component.source_bytes), format_bytes(component.output_bytes),
                    fmt::format("{:.2f}", bits)});
  }
  rows.push_back(
      {"total", "", "", "", format_bytes(plan.source_bytes), format_bytes(plan.output_bytes), ""});
  return format_table(rows, 2);
}

}  // namespace precis::cli
