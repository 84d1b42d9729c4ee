#include "registry/config/pipeline_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/base/log.h"
#include "core/base/output_file.h"
#include "registry/config/config_string.h"
#include "registry/config/quant_methods.h"
#include "registry/config/toml.h"

namespace precis {
namespace {

using nlohmann::json;

bool is_component(const Checkpoint& checkpoint, const std::string& name) {
  return std::any_of(checkpoint.components.begin(), checkpoint.components.end(),
                     [&](const Component& component) { return component.name == name; });
}

Status unknown_component(const Checkpoint& checkpoint, const std::string& name, bool lenient) {
  std::vector<std::string> names;
  std::string list;
  for (const Component& component : checkpoint.components) {
    names.push_back(component.name);
    list += (list.empty() ? "" : ", ") + component.name;
  }
  const std::string text =
      fmt::format("the pipeline has no component '{}'{}", name, did_you_mean(name, names));
  if (!lenient)
    return Error(ErrorCode::invalid_argument, text, fmt::format("components here: {}", list));
  logger().warn("{}; it is ignored", text);
  return {};
}

std::string spec_text(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// {"transformer": {...}, "text_encoder_2": "nf4"}.
Status apply_mapping(const json& mapping, const Checkpoint& checkpoint, bool lenient,
                     ResolveOptions& options) {
  for (const auto& [name, value] : mapping.items()) {
    if (!is_component(checkpoint, name)) {
      PRECIS_TRY(unknown_component(checkpoint, name, lenient));
      continue;
    }
    options.components.emplace_back(name, spec_text(value));
  }
  return {};
}

Status apply_parsed(const PipelineConfig& config, const Checkpoint& checkpoint, bool lenient,
                    ResolveOptions& options) {
  for (const std::string& name : config.names()) {
    if (!is_component(checkpoint, name)) PRECIS_TRY(unknown_component(checkpoint, name, lenient));
  }
  for (const Component& component : checkpoint.components) {
    PRECIS_ASSIGN(const auto chosen, component_config(config, component.name));
    if (chosen) options.components.emplace_back(component.name, spec_text(*chosen));
  }
  return {};
}

// Python's truth of an optional field.
bool given(const json& value) {
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.is_null() && !value.empty() && value != false && value != 0;
}

Error wrong_type(const char* field, const char* what) {
  return Error(ErrorCode::invalid_type, fmt::format("{} is not {}", field, what));
}

Result<std::vector<std::string>> read_components(const json& value) {
  std::vector<std::string> names;
  if (!given(value)) return names;
  if (value.is_string()) return std::vector{value.get<std::string>()};
  if (!value.is_array()) return wrong_type("components_to_quantize", "a text or a list of texts");
  for (const json& name : value) {
    if (!name.is_string()) return wrong_type("components_to_quantize", "a text or a list of texts");
    names.push_back(name);
  }
  return names;
}

Status check_backend(const std::string& backend, const PipelineReading& reading) {
  const QuantMethodFacts* facts = backend == "bitsandbytes" ? nullptr : find_quant_method(backend);
  const bool both = facts != nullptr && facts->diffusers && facts->transformers;
  if (facts == nullptr || (reading.python && !both)) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("quant_backend '{}' is not known to {}{}", backend,
                             facts == nullptr ? "the libraries" : "both libraries",
                             did_you_mean(backend, known_quant_methods())),
                 "use quant_mapping, which names a config for each component");
  }
  if (reading.python && !facts->one_signature) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("quant_backend '{}' has other options in diffusers than in "
                             "transformers",
                             backend),
                 "use quant_mapping, which names a config for each component");
  }
  return {};
}

Status check_forms(const json& backend, const json& kwargs, const json& mapping) {
  if (given(backend) && given(mapping)) {
    return Error(ErrorCode::invalid_argument, "quant_backend and quant_mapping exclude each other",
                 "keep one of them");
  }
  if (!given(backend) && !given(mapping) && mapping.is_null()) {
    return Error(ErrorCode::invalid_argument, "neither quant_backend nor quant_mapping is given",
                 "give one of them");
  }
  if (!given(backend) && !given(mapping)) {
    return Error(ErrorCode::invalid_argument,
                 "quant_mapping is empty and there is no quant_backend",
                 "map at least one component");
  }
  if (!given(kwargs) && !given(mapping)) {
    return Error(ErrorCode::invalid_argument, "quant_kwargs is empty; diffusers refuses that too",
                 "give at least one option, such as load_in_4bit");
  }
  return {};
}

// Whether a document is a model's config.json, which may have a quantization_config, and not a
// config itself.
bool describes_model(const json& document) {
  return document.is_object() &&
         (document.contains("_class_name") || document.contains("architectures") ||
          document.contains("model_type"));
}

}  // namespace

Result<json> read_config_file(const std::string& name) {
  std::error_code ignored;
  const bool directory = std::filesystem::is_directory(name, ignored);
  const std::string path =
      directory ? (std::filesystem::path(name) / "config.json").string() : name;
  if (directory && !std::filesystem::exists(path, ignored)) {
    const bool pipeline = std::filesystem::exists(name + "/model_index.json", ignored);
    return Error(ErrorCode::invalid_argument, fmt::format("{}: has no config.json", name),
                 pipeline ? "this is a pipeline; name the directory of one of its components" : "");
  }
  PRECIS_ASSIGN(const std::string text, read_file(path, 16 << 20));
  if (path.ends_with(".toml")) return parse_toml(text, path);
  json document = json::parse(text, nullptr, false);
  if (document.is_discarded())
    return Error(ErrorCode::invalid_argument, fmt::format("{}: is not JSON", path));
  if (document.is_object() && document.contains("quantization_config"))
    return document["quantization_config"];
  if (describes_model(document)) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("{}: has no quantization_config; this model is not quantized", path),
                 "name a config, or the config.json of a quantized model");
  }
  return document;
}

Result<json> read_config(const std::string& text) {
  std::error_code error;
  const std::filesystem::path path(text);
  if (std::filesystem::is_regular_file(path, error) ||
      std::filesystem::exists(path / "config.json", error) ||
      std::filesystem::exists(path / "model_index.json", error)) {
    return read_config_file(text);
  }
  const std::size_t start = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  const std::string_view body = std::string_view(text).substr(start);
  if (body.starts_with('{')) {
    json document = json::parse(body, nullptr, false);
    if (document.is_discarded())
      return Error(ErrorCode::invalid_argument, fmt::format("'{}' is not JSON", text));
    return document;
  }
  // In a config string a ':' stands before the first '='; a TOML key has none.
  const bool toml = body.starts_with('[') || body.starts_with('#') ||
                    body.find('=') < std::min(body.find(':'), body.size());
  if (toml) return parse_toml(body, "the config given as text");
  if (body.find('/') != std::string_view::npos || body.ends_with(".json") ||
      body.ends_with(".toml")) {
    return Error(ErrorCode::io, fmt::format("{}: there is no such file", text),
                 "give the path of a JSON or TOML file, or a text such as nf4 or gguf:q4_k");
  }
  return json(text);
}

bool is_single_config(const json& document) {
  return document.contains("quant_method") || document.contains("load_in_4bit") ||
         document.contains("load_in_8bit");
}

bool has_pipeline_fields(const json& document) {
  return std::any_of(document.items().begin(), document.items().end(), [](const auto& item) {
    return item.key() == "quant_backend" || item.key() == "quant_mapping" ||
           item.key() == "quant_kwargs" || item.key() == "components_to_quantize";
  });
}

std::vector<std::string> PipelineConfig::names() const {
  if (!components.empty()) return components;
  std::vector<std::string> list;
  for (const auto& [name, value] : mapping) list.push_back(name);
  return list;
}

Result<PipelineConfig> parse_pipeline_config(const json& config, const PipelineReading& reading) {
  if (!config.is_object()) return wrong_type("the pipeline's config", "an object");
  const auto field = [&](const char* key) { return config.value(key, json()); };
  for (const auto& [key, value] : config.items()) {
    if (key != "quant_backend" && key != "quant_kwargs" && key != "components_to_quantize" &&
        key != "quant_mapping") {
      return Error(ErrorCode::invalid_type,
                   fmt::format("'{}' is no field of a pipeline's config", key),
                   "the fields are quant_backend, quant_kwargs, components_to_quantize, "
                   "quant_mapping");
    }
  }
  const json backend = field("quant_backend"), kwargs = field("quant_kwargs"),
             mapping = field("quant_mapping");
  PRECIS_TRY(check_forms(backend, kwargs, mapping));
  PipelineConfig parsed;
  if (!backend.is_null()) {
    if (!backend.is_string()) return wrong_type("quant_backend", "a text");
    parsed.backend = backend;
    PRECIS_TRY(check_backend(parsed.backend, reading));
  }
  if (!kwargs.is_null()) parsed.kwargs = kwargs;
  PRECIS_ASSIGN(parsed.components, read_components(field("components_to_quantize")));
  parsed.granular = !mapping.is_null();
  if (!parsed.granular) return parsed;
  if (!mapping.is_object()) return wrong_type("quant_mapping", "an object");
  for (const auto& [name, value] : mapping.items()) {
    if (!value.is_object() && !value.is_string()) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("quant_mapping: '{}' is mapped to {}, which is no config", name,
                               value.dump()),
                   "give an object with quant_method, or a config string");
    }
    parsed.mapping.emplace(name, value);
  }
  return parsed;
}

Result<std::optional<json>> component_config(const PipelineConfig& config,
                                             const std::string& component) {
  const auto mapped = config.mapping.find(component);
  if (mapped != config.mapping.end()) return std::optional<json>(mapped->second);
  const auto& listed = config.components;
  const bool chosen = listed.empty()
                          ? !config.granular
                          : std::find(listed.begin(), listed.end(), component) != listed.end();
  if (!chosen) return std::optional<json>();
  if (config.backend.empty()) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("components_to_quantize lists '{}', but quant_mapping does not have "
                             "it and there is no quant_backend",
                             component),
                 "add it to quant_mapping");
  }
  if (!config.kwargs.is_object()) return wrong_type("quant_kwargs", "an object");
  json resolved = config.kwargs;
  resolved["quant_method"] = config.backend;
  return std::optional<json>(std::move(resolved));
}

Status apply_pipeline_config(const std::string& config, const Checkpoint& checkpoint, bool lenient,
                             ResolveOptions& options) {
  PRECIS_ASSIGN(const json document, read_config(config));
  if (document.is_string()) {
    options.type = document;
    return {};
  }
  if (!document.is_object())
    return Error(ErrorCode::invalid_argument, "the config is not an object");
  if (has_pipeline_fields(document)) {
    PRECIS_ASSIGN(const PipelineConfig parsed, parse_pipeline_config(document, {lenient, false}));
    return apply_parsed(parsed, checkpoint, lenient, options);
  }
  if (is_single_config(document)) {
    options.type = document.dump();
    return {};
  }
  return apply_mapping(document, checkpoint, lenient, options);
}

}  // namespace precis
