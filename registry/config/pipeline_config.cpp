#include "registry/config/pipeline_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/base/log.h"
#include "core/base/output_file.h"
#include "registry/config/config_string.h"
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

// quant_backend with quant_kwargs for the components_to_quantize, or for all of them.
Status apply_backend(const json& config, const Checkpoint& checkpoint, bool lenient,
                     ResolveOptions& options) {
  json kwargs = config.value("quant_kwargs", json::object());
  if (kwargs.is_null()) kwargs = json::object();
  if (!kwargs.is_object())
    return Error(ErrorCode::invalid_argument, "quant_kwargs is not an object");
  const json backend = config.value("quant_backend", json());
  if (!backend.is_string())
    return Error(ErrorCode::invalid_argument, "quant_backend is not a text");
  const std::string method = backend.get<std::string>();
  if (kwargs.empty() && !lenient) {
    return Error(ErrorCode::invalid_argument, "quant_kwargs is empty; diffusers refuses that too",
                 "give at least one option, such as load_in_4bit");
  }
  kwargs["quant_method"] = method;
  if (method == "bitsandbytes_4bit") kwargs["load_in_4bit"] = true;
  if (method == "bitsandbytes_8bit") kwargs["load_in_8bit"] = true;
  if (method.starts_with("bitsandbytes_")) kwargs["quant_method"] = "bitsandbytes";
  json names = config.value("components_to_quantize", json());
  if (names.is_string()) names = json::array({names});
  if (names.is_null() || names.empty()) {
    options.type = kwargs.dump();
    return {};
  }
  json mapping = json::object();
  for (const json& name : names) mapping[name.get<std::string>()] = kwargs;
  return apply_mapping(mapping, checkpoint, lenient, options);
}

}  // namespace

Result<json> read_config_file(const std::string& path) {
  PRECIS_ASSIGN(const std::string text, read_file(path, 16 << 20));
  if (path.ends_with(".toml")) return parse_toml(text, path);
  json document = json::parse(text, nullptr, false);
  if (document.is_discarded())
    return Error(ErrorCode::invalid_argument, fmt::format("{}: is not JSON", path));
  if (document.is_object() && document.contains("quantization_config"))
    return document["quantization_config"];
  return document;
}

Status apply_pipeline_config(const std::string& config, const Checkpoint& checkpoint, bool lenient,
                             ResolveOptions& options) {
  std::error_code error;
  json document;
  if (std::filesystem::is_regular_file(config, error)) {
    PRECIS_ASSIGN(document, read_config_file(config));
  } else if (config.starts_with('{')) {
    document = json::parse(config, nullptr, false);
    if (document.is_discarded())
      return Error(ErrorCode::invalid_argument, "--config: the text is not JSON");
  } else {
    options.type = config;
    return {};
  }
  if (!document.is_object())
    return Error(ErrorCode::invalid_argument, "the config is not an object");
  const bool backend = document.contains("quant_backend") && !document["quant_backend"].is_null();
  const bool mapping = document.contains("quant_mapping") && !document["quant_mapping"].is_null();
  if (backend && mapping) {
    return Error(ErrorCode::invalid_argument, "quant_backend and quant_mapping exclude each other",
                 "keep one of them");
  }
  if (backend) return apply_backend(document, checkpoint, lenient, options);
  if (mapping) return apply_mapping(document["quant_mapping"], checkpoint, lenient, options);
  const bool single = document.contains("quant_method") || document.contains("load_in_4bit") ||
                      document.contains("load_in_8bit");
  if (single) {
    options.type = document.dump();
    return {};
  }
  return apply_mapping(document, checkpoint, lenient, options);
}

}  // namespace precis
