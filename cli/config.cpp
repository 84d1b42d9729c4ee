// precis config: what a quantization config comes to.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>

#include "cli/session.h"
#include "core/base/log.h"
#include "registry/config/pipeline_config.h"

namespace precis::cli {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct ConfigOptions {
  std::string text, library, checkpoint;
  bool difference = false;
};

// One config with its plugin and method. given: an object, or a JSON text with a preset or a config
// string. A dict is read exactly as the library reads it; precis' own spelling is put into what
// that library's class holds.
Result<ordered_json> resolve_one(json given, const ConfigOptions& options, Session& session) {
  RegistryResolver& resolver = session.resolver();
  const DispatchOptions how{options.library, session.lenient};
  if (!options.checkpoint.empty()) {
    if (given.is_string()) {
      PRECIS_ASSIGN(const MethodChoice named, resolver.choose(given.get<std::string>(), how));
      given = named.config;
    }
    PRECIS_ASSIGN(const json own, read_config_file(options.checkpoint));
    PRECIS_ASSIGN(given, resolver.merge(own, given, options.library));
  }
  MethodChoice choice;
  LibraryConfig resolved;
  if (given.is_string()) {
    const std::string spec = given.get<std::string>();
    PRECIS_ASSIGN(choice, resolver.choose(spec, how));
    if (choice.manifest == nullptr)
      return Error(ErrorCode::invalid_argument, "'keep' is no config");
    auto held = resolver.library_config(choice, options.library);
    if (!held.ok()) return std::move(held).error().with_context(spec);
    resolved = *std::move(held);
  } else {
    PRECIS_ASSIGN(choice, resolver.choose(given, how));
    PRECIS_ASSIGN(resolved.config,
                  resolver.normalize(given, options.library, !options.library.empty()));
  }
  if (!resolved.lost.empty()) {
    logger().warn("{}'s config of {} has no place for {}: the stored tensors tell it",
                  options.library, choice.method, fmt::join(resolved.lost, ", "));
  }
  if (options.difference) {
    PRECIS_ASSIGN(resolved.config,
                  resolver.difference_from_defaults(choice, resolved.config, options.library));
  }
  ordered_json result{
      {"plugin", choice.manifest->id}, {"method", choice.method}, {"config", resolved.config}};
  if (!resolved.lost.empty()) result["not_in_library"] = resolved.lost;
  return result;
}

// The config of each component that a pipeline's config speaks of; "*" stands for every one.
Result<std::vector<std::pair<std::string, json>>> components_of(const json& document,
                                                                bool lenient) {
  std::vector<std::pair<std::string, json>> components;
  if (!has_pipeline_fields(document)) {
    for (const auto& [name, config] : document.items()) {
      if (!config.is_object() && !config.is_string()) {
        return Error(ErrorCode::invalid_argument,
                     fmt::format("the config has neither quant_method nor components: '{}' is {}",
                                 name, config.dump()),
                     "add \"quant_method\", or map each component to a config");
      }
      components.emplace_back(name, config);
    }
    return components;
  }
  PRECIS_ASSIGN(const PipelineConfig parsed, parse_pipeline_config(document, {lenient, false}));
  std::vector<std::string> names = parsed.names();
  if (names.empty()) names.emplace_back("*");
  for (const std::string& name : names) {
    PRECIS_ASSIGN(const auto config, component_config(parsed, name));
    if (config) components.emplace_back(name, *config);
  }
  return components;
}

std::string text_of(const ordered_json& resolved) {
  return fmt::format("plugin {}, method {}\n{}\n", resolved["plugin"].get<std::string>(),
                     resolved["method"].get<std::string>(), resolved["config"].dump(2));
}

Status resolve_config(const ConfigOptions& options, Session& session) {
  PRECIS_ASSIGN(const json given, read_config(options.text));
  if (!given.is_object() || given.empty() || is_single_config(given)) {
    PRECIS_ASSIGN(const ordered_json resolved, resolve_one(given, options, session));
    if (session.json)
      session.print(resolved);
    else
      session.show(text_of(resolved));
    return {};
  }
  PRECIS_ASSIGN(const auto components, components_of(given, session.lenient));
  ordered_json list = ordered_json::object();
  for (const auto& [name, config] : components) {
    auto resolved = config == "keep" ? Result<ordered_json>(ordered_json())
                                     : resolve_one(config, options, session);
    if (!resolved.ok())
      return std::move(resolved).error().with_context(fmt::format("component {}", name));
    if (!session.json) {
      session.show(fmt::format("component {}: {}", name,
                               resolved->is_null() ? "kept\n" : text_of(*resolved)));
    }
    list[name] = *std::move(resolved);
  }
  if (session.json) session.print({{"components", std::move(list)}});
  return {};
}

}  // namespace

void add_config(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand("config", "quantization configs");
  command->require_subcommand(1);
  auto* resolve = command->add_subcommand(
      "resolve", "the full config that a dict, a file, a preset or a config string stands for");
  auto options = std::make_shared<ConfigOptions>();
  resolve
      ->add_option("CONFIG", options->text,
                   "a file, a quantized model's directory, JSON or TOML text, a preset or a config "
                   "string; a pipeline's config resolves for each component")
      ->required();
  resolve
      ->add_option("--library", options->library,
                   "read it exactly as this library does; of a preset: what its class holds")
      ->check(CLI::IsMember({"diffusers", "transformers"}));
  resolve
      ->add_option("--checkpoint-config", options->checkpoint,
                   "config.json or directory of a model that is already quantized: what loading it "
                   "with CONFIG comes to")
      ->check(CLI::ExistingPath);
  resolve->add_flag("--diff", options->difference,
                    "only what differs from the method's defaults, as to_diff_dict() gives it");
  resolve->add_flag("--lenient", session.lenient,
                    "where the library goes on silently, warn instead of stopping");
  session.add_options(*resolve);
  resolve->callback([=, &session, &result] {
    session.apply();
    const Status status = resolve_config(*options, session);
    result = status.ok() ? static_cast<int>(kDone) : session.fail(status.error());
  });
}

}  // namespace precis::cli
