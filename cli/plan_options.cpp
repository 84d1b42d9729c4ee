#include "cli/plan_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/table.h"
#include "core/base/byte_size.h"
#include "core/base/output_file.h"
#include "core/checkpoint/importance_matrix.h"
#include "registry/config/pipeline_config.h"
#include "registry/config/toml.h"

namespace precis::cli {
namespace {

using nlohmann::json;

Result<json> read_recipe(const std::string& path) {
  PRECIS_ASSIGN(const std::string text, read_file(path, 16 << 20));
  return parse_toml(text, path);
}

}  // namespace

Result<std::pair<std::string, std::string>> split_assignment(const std::string& text,
                                                             const char* option, bool last) {
  const std::size_t colon = last ? text.find(':') : std::string::npos;
  const std::size_t equals = last ? text.rfind('=', colon) : text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    return Error(ErrorCode::invalid_argument, fmt::format("{} '{}' is not NAME=SPEC", option, text),
                 fmt::format("for example {} '{}'", option,
                             last ? "blocks\\.0\\.=q8_0" : "transformer=nf4"));
  }
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
      ->type_name("NAME=SPEC");
  command
      .add_option("--rule", rules,
                  "method for the tensors a regular expression finds; the last match wins")
      ->type_name("REGEX=SPEC");
  command.add_option("--skip", skips, "tensors to leave as they are; repeatable")
      ->type_name("REGEX");
  command.add_flag("--no-default-skips", no_default_skips,
                   "do not spare the family's sensitive layers");
  command.add_option("--config", config, "a quantization config: a JSON or TOML file, or a text")
      ->type_name("FILE|STRING");
  command.add_option("--recipe", recipe, "options from a file that --emit-recipe wrote")
      ->type_name("FILE");
  command.add_option("--max-memory", max_memory, "cap on working memory")->type_name("SIZE");
  command.add_option("--max-shard-size", max_shard_size, "largest output file of a component")
      ->type_name("SIZE");
  command.add_option("--imatrix", imatrix, "importance matrix of llama.cpp")->type_name("FILE");
  command.add_option("--variant", variant, "variant of the source's weight files, such as fp16")
      ->type_name("NAME");
  command.add_flag("--lenient", session.lenient,
                   "where Python would go on silently, warn instead of stopping");
  session.add_options(command);
}

Result<ResolveOptions> PlanOptions::resolve_options(const Checkpoint& checkpoint,
                                                    Session& session) const {
  ResolveOptions options;
  json recorded = json::object();
  if (!recipe.empty()) {
    PRECIS_ASSIGN(recorded, read_recipe(recipe));
    for (const auto& [key, value] : recorded.items()) {
      if (key == "type" && value.is_string())
        options.type = value;
      else if (key == "components" && value.is_object()) {
        for (const auto& [name, spec] : value.items()) {
          if (!spec.is_string()) {
            return Error(ErrorCode::invalid_argument,
                         fmt::format("{}: the method of component '{}' is no text", recipe, name));
          }
          options.components.emplace_back(name, spec);
        }
      } else if (key == "rules" && value.is_array()) {
        for (const json& rule : value) {
          if (!rule.is_object() || !rule.value("pattern", json()).is_string() ||
              !rule.value("spec", json()).is_string()) {
            return Error(ErrorCode::invalid_argument,
                         fmt::format("{}: a rule needs two texts, 'pattern' and 'spec'", recipe));
          }
          options.rules.emplace_back(rule["pattern"], rule["spec"]);
        }
      } else if (key == "skips" && value.is_array() &&
                 std::all_of(value.begin(), value.end(),
                             [](const json& skip) { return skip.is_string(); })) {
        options.skips = value.get<std::vector<std::string>>();
      } else if (key == "default_skips" && value.is_boolean()) {
        options.default_skips = value;
      } else {
        return Error(ErrorCode::invalid_argument,
                     fmt::format("{}: '{}' is no part of a recipe", recipe, key));
      }
    }
  }
  if (!config.empty())
    PRECIS_TRY(apply_pipeline_config(config, checkpoint, session.lenient, options));
  if (!type.empty()) options.type = type;
  for (const std::string& text : components) {
    PRECIS_ASSIGN(auto assignment, split_assignment(text, "--component", false));
    options.components.push_back(std::move(assignment));
  }
  for (const std::string& text : rules) {
    PRECIS_ASSIGN(auto assignment, split_assignment(text, "--rule", true));
    options.rules.push_back(std::move(assignment));
  }
  options.skips.insert(options.skips.end(), skips.begin(), skips.end());
  options.default_skips = options.default_skips && !no_default_skips;
  options.threads = session.pool().concurrency();
  PRECIS_ASSIGN(options.max_memory, parse_byte_size(max_memory));
  PRECIS_ASSIGN(options.max_shard_bytes, parse_byte_size(max_shard_size));
  if (!imatrix.empty()) {
    PRECIS_ASSIGN(options.importance, ImportanceMatrix::read(imatrix));
  }
  json component_specs = json::object();
  for (const auto& [name, spec] : options.components) component_specs[name] = spec;
  json rule_list = json::array();
  for (const auto& [pattern, spec] : options.rules)
    rule_list.push_back({{"pattern", pattern}, {"spec", spec}});
  options.recipe = {{"type", options.type},
                    {"components", component_specs},
                    {"rules", rule_list},
                    {"skips", options.skips},
                    {"default_skips", options.default_skips}};
  return options;
}

Result<Plan> PlanOptions::make_plan(Session& session, const ResolveOptions& extra) const {
  PRECIS_ASSIGN(const Checkpoint checkpoint, open_checkpoint(source, {variant}));
  PRECIS_ASSIGN(ResolveOptions options, resolve_options(checkpoint, session));
  options.dequantize_to = extra.dequantize_to;
  options.allow_requantize = extra.allow_requantize;
  options.container = extra.container;
  return resolve(checkpoint, options, session.resolver());
}

std::string recipe_toml(const json& recipe) {
  const auto quote = [](const std::string& text) { return json(text).dump(); };
  std::string text = "# precis quantize PATH -o OUT --recipe THIS_FILE\n";
  if (const std::string type = recipe.value("type", ""); !type.empty())
    text += fmt::format("type = {}\n", quote(type));
  text += fmt::format("default_skips = {}\n", recipe.value("default_skips", true));
  std::string skips;
  for (const json& skip : recipe.value("skips", json::array())) {
    skips += (skips.empty() ? "" : ", ") + quote(skip.get<std::string>());
  }
  text += fmt::format("skips = [{}]\n", skips);
  const json components = recipe.value("components", json::object());
  if (!components.empty()) text += "\n[components]\n";
  for (const auto& [name, spec] : components.items())
    text += fmt::format("{} = {}\n", quote(name), quote(spec));
  for (const json& rule : recipe.value("rules", json::array())) {
    text += fmt::format("\n[[rules]]\npattern = {}\nspec = {}\n", quote(rule.at("pattern")),
                        quote(rule.at("spec")));
  }
  return text;
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
                    component.method.empty() ? "-" : component.method, std::to_string(quantized),
                    std::to_string(component.tensors.size() - quantized),
                    format_bytes(component.source_bytes), format_bytes(component.output_bytes),
                    fmt::format("{:.2f}", bits)});
  }
  rows.push_back(
      {"total", "", "", "", format_bytes(plan.source_bytes), format_bytes(plan.output_bytes), ""});
  return format_table(rows, 2);
}

}  // namespace precis::cli
