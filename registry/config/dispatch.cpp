#include "registry/config/dispatch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/base/log.h"
#include "registry/config/config_string.h"

namespace precis {
namespace {

using nlohmann::json;

// Python's truth of a value.
bool truthy(const json& config, const char* key) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return false;
  if (found->is_boolean()) return found->get<bool>();
  if (found->is_number()) return found->get<double>() != 0;
  if (found->is_string()) return !found->get_ref<const std::string&>().empty();
  return !found->empty();
}

bool applies(const QuantMethodEntry& entry, const json& config) {
  return std::all_of(entry.when.items().begin(), entry.when.items().end(), [&](const auto& item) {
    const auto found = config.find(item.key());
    return found != config.end() && *found == item.value();
  });
}

bool serves(const QuantMethodEntry& entry, const std::string& library) {
  return library.empty() || std::find(entry.libraries.begin(), entry.libraries.end(), library) !=
                                entry.libraries.end();
}

std::vector<std::string> names_read(const std::vector<const Manifest*>& plugins) {
  std::vector<std::string> names;
  for (const Manifest* manifest : plugins) {
    for (const QuantMethodEntry& entry : manifest->quant_methods) {
      if (std::find(names.begin(), names.end(), entry.name) == names.end())
        names.push_back(entry.name);
    }
  }
  return names;
}

// Names who would provide the method, or the plugin that is here but reads it for another library
// alone.
Error no_plugin(const std::string& key, const std::vector<const Manifest*>& plugins,
                const std::string& library) {
  const std::vector<std::string> names = names_read(plugins);
  const std::string at_hand =
      fmt::format("plugins at hand read: {}",
                  names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
  const QuantMethodFacts* facts = find_quant_method(key);
  if (facts == nullptr) {
    return Error(
        ErrorCode::plugin,
        fmt::format("no plugin for quant_method '{}', which diffusers and transformers do not know "
                    "either{}",
                    key, did_you_mean(key, names)),
        at_hand);
  }
  if (std::find(names.begin(), names.end(), key) != names.end()) {
    return Error(ErrorCode::plugin,
                 fmt::format("no plugin for quant_method '{}' of {}: the plugin at hand reads it "
                             "for another library, or with other options",
                             key, library.empty() ? "either library" : library),
                 fmt::format("see `precis backends {}`", facts->plugin));
  }
  return Error(ErrorCode::plugin,
               fmt::format("no plugin for quant_method '{}'; these would provide it: {}", key,
                           facts->plugin),
               fmt::format("put the plugin's folder into PRECIS_PLUGIN_PATH; {}", at_hand));
}

// Presets called `name`; of one plugin or quant_method when `head` is not empty.
std::vector<std::pair<const Manifest*, const PresetEntry*>> find_presets(
    const std::string& name, const std::string& head, const std::vector<const Manifest*>& plugins) {
  std::vector<std::pair<const Manifest*, const PresetEntry*>> found;
  for (const Manifest* manifest : plugins) {
    const bool by_method =
        std::any_of(manifest->quant_methods.begin(), manifest->quant_methods.end(),
                    [&](const QuantMethodEntry& entry) { return entry.name == head; });
    if (!head.empty() && manifest->id != head && !by_method) continue;
    for (const PresetEntry& preset : manifest->presets) {
      if (preset.name == name) found.emplace_back(manifest, &preset);
    }
  }
  return found;
}

std::vector<std::string> preset_names(const std::vector<const Manifest*>& plugins) {
  std::vector<std::string> names;
  for (const Manifest* manifest : plugins) {
    for (const PresetEntry& preset : manifest->presets) names.push_back(preset.name);
    for (const QuantMethodEntry& entry : manifest->quant_methods) names.push_back(entry.name);
  }
  return names;
}

void apply_options(const ConfigString& parsed, json& config) {
  for (const auto& [key, value] : parsed.options) config[key] = value;
}

// The bare config of a method that is named by its key: {"quant_method": ..., and what selects it}.
json base_config(const std::string& key, const std::vector<const Manifest*>& plugins) {
  for (const Manifest* manifest : plugins) {
    for (const QuantMethodEntry& entry : manifest->quant_methods) {
      if (entry.method != key || entry.when.empty()) continue;
      json config = entry.when;
      config["quant_method"] = entry.name;
      return config;
    }
  }
  return {{"quant_method", key}};
}

}  // namespace

Result<std::string> dispatch_key(const json& config, const DispatchOptions& options) {
  if (!config.is_object()) {
    return Error(ErrorCode::invalid_argument, "the quantization config is not a JSON object");
  }
  const auto method = config.find("quant_method");
  const bool named = method != config.end() && !method->is_null();
  const bool four = truthy(config, "load_in_4bit"), eight = truthy(config, "load_in_8bit");
  if (four || eight) {
    const std::string key = four ? "bitsandbytes_4bit" : "bitsandbytes_8bit";
    const bool contradicts = named && *method != "bitsandbytes" && *method != key;
    if (contradicts) {
      const std::string text =
          fmt::format("{} makes this a config of {}, but quant_method is {}",
                      four ? "load_in_4bit" : "load_in_8bit", key, method->dump());
      if (!options.lenient) {
        return Error(ErrorCode::invalid_argument, text, "remove one of the two, or pass --lenient");
      }
      logger().warn("{}; the flag wins", text);
    }
    return key;
  }
  if (!named) {
    return Error(ErrorCode::invalid_argument, "the quantization config has no quant_method",
                 "add \"quant_method\", or load_in_4bit or load_in_8bit for bitsandbytes");
  }
  if (!method->is_string()) {
    const ErrorCode code =
        method->is_structured() ? ErrorCode::invalid_type : ErrorCode::invalid_argument;
    return Error(code, fmt::format("quant_method is {}, it must be a text", method->dump()));
  }
  const std::string key = method->get<std::string>();
  if (key == "bitsandbytes") {
    return Error(ErrorCode::invalid_argument,
                 "quant_method 'bitsandbytes' says neither 4 nor 8 bits",
                 "add \"load_in_4bit\": true or \"load_in_8bit\": true");
  }
  if (key == "bitsandbytes_4bit" || key == "bitsandbytes_8bit") {
    const std::string text = fmt::format(
        "quant_method is '{}', but no load flag is set: Python then quantizes to 4 bits", key);
    const std::string flag = key == "bitsandbytes_4bit" ? "load_in_4bit" : "load_in_8bit";
    if (!options.lenient) {
      return Error(ErrorCode::invalid_argument, text,
                   fmt::format("add \"{}\": true, or pass --lenient", flag));
    }
    logger().warn("{}", text);
  }
  return key;
}

Result<MethodChoice> dispatch(const json& config, const std::vector<const Manifest*>& plugins,
                              const DispatchOptions& options) {
  PRECIS_ASSIGN(std::string key, dispatch_key(config, options));
  if (key == "bitsandbytes_8bit" && !truthy(config, "load_in_8bit")) key = "bitsandbytes_4bit";
  const Manifest *best = nullptr, *rival = nullptr;
  const QuantMethodEntry* best_entry = nullptr;
  for (const Manifest* manifest : plugins) {
    for (const QuantMethodEntry& entry : manifest->quant_methods) {
      if (entry.name != key || !applies(entry, config) || !serves(entry, options.library)) continue;
      if (best == nullptr || entry.priority > best_entry->priority) {
        best = manifest;
        best_entry = &entry;
        rival = nullptr;
      } else if (best != manifest && entry.priority == best_entry->priority) {
        rival = manifest;
      }
    }
  }
  if (rival != nullptr) {
    return Error(
        ErrorCode::plugin,
        fmt::format("plugins '{}' and '{}' both read quant_method '{}'", best->id, rival->id, key),
        fmt::format("choose one: PRECIS_PLUGINS_DISABLE={}", rival->id));
  }
  if (best == nullptr) return no_plugin(key, plugins, options.library);
  return MethodChoice{best, best_entry->method, config};
}

Result<MethodChoice> dispatch_string(std::string_view text,
                                     const std::vector<const Manifest*>& plugins,
                                     const DispatchOptions& options) {
  if (text == "keep") return MethodChoice{};
  if (text.starts_with('{')) {
    const json config = json::parse(text, nullptr, false);
    if (config.is_discarded())
      return Error(ErrorCode::invalid_argument, fmt::format("'{}' is not JSON", text));
    return dispatch(config, plugins, options);
  }
  PRECIS_ASSIGN(const ConfigString parsed, parse_config_string(text));
  const bool qualified = !parsed.preset.empty();
  const auto presets =
      find_presets(qualified ? parsed.preset : parsed.head, qualified ? parsed.head : "", plugins);
  if (presets.size() > 1) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("'{}' is a preset of '{}' and of '{}'", text, presets[0].first->id,
                             presets[1].first->id),
                 fmt::format("say which: {}:{}", presets[0].first->id, parsed.head));
  }
  if (presets.size() == 1) {
    MethodChoice choice{presets[0].first, presets[0].second->method, presets[0].second->config};
    apply_options(parsed, choice.config);
    return choice;
  }
  if (qualified) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("'{}': there is no preset '{}' of '{}'{}", text, parsed.preset,
                             parsed.head, did_you_mean(parsed.preset, preset_names(plugins))),
                 "see `precis backends`");
  }
  const auto& known = known_quant_methods();
  const auto names = preset_names(plugins);
  if (std::find(known.begin(), known.end(), parsed.head) == known.end() &&
      std::find(names.begin(), names.end(), parsed.head) == names.end()) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("'{}' is neither a preset nor a method{}", parsed.head,
                             did_you_mean(parsed.head, names)),
                 "see `precis backends`");
  }
  json config = base_config(parsed.head, plugins);
  apply_options(parsed, config);
  return dispatch(config, plugins, options);
}

}  // namespace precis
