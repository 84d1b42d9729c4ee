#include "registry/config/registry_resolver.h"

#include "registry/config/integer_groups.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/abi/call.h"
#include "core/base/log.h"
#include "registry/config/config_string.h"
#include "registry/config/merge.h"

namespace precis {
namespace {

using nlohmann::json;

precis_config request_of(const std::string& text, const std::string& library,
                         const std::string& version, uint32_t flags) {
  return {sizeof(precis_config), flags, to_abi(text), to_abi(library), to_abi(version)};
}

// The part of an encoding before its first dot, "gguf" of "gguf.q4_k", of the first tensor that has
// one.
std::string encoding_family(const Component& component) {
  for (const TensorRef& ref : component.tensors) {
    const std::string& encoding = ref.entry->encoding;
    if (!encoding.empty()) return encoding.substr(0, encoding.find('.'));
  }
  return {};
}

bool serves(const Manifest& manifest, const std::string& method, const std::string& library) {
  return std::any_of(manifest.quant_methods.begin(), manifest.quant_methods.end(),
                     [&](const QuantMethodEntry& entry) {
                       const auto& libraries = entry.libraries;
                       return entry.method == method &&
                              std::find(libraries.begin(), libraries.end(), library) !=
                                  libraries.end();
                     });
}

// What is needed of a quantizer before any table of it can be asked for.
Status check_handle(const precis_quantizer* handle, const std::string& plugin,
                    const std::string& method) {
  const bool whole = handle != nullptr && handle->method != nullptr && handle->destroy != nullptr &&
                     handle->get_extension != nullptr;
  if (whole) return {};
  return Error(ErrorCode::plugin,
               fmt::format("plugin {}: create() of method {} gave {}", plugin, method,
                           handle == nullptr ? "no quantizer" : "one with a null member"),
               "its author must mend it");
}

// A name for tables: the preset whose config this is, else the method with its telling options.
std::string spec_of(const MethodChoice& choice) {
  for (const PresetEntry& preset : choice.manifest->presets) {
    const bool fits = preset.method == choice.method &&
                      std::all_of(preset.config.items().begin(), preset.config.items().end(),
                                  [&](const auto& item) {
                                    const auto found = choice.config.find(item.key());
                                    return found != choice.config.end() && *found == item.value();
                                  });
    // nf4-dq has all that nf4 has: the preset with most options is the right one.
    if (!fits) continue;
    const bool better = std::any_of(
        choice.manifest->presets.begin(), choice.manifest->presets.end(),
        [&](const PresetEntry& other) {
          if (other.method != preset.method || other.config.size() <= preset.config.size())
            return false;
          return std::all_of(other.config.items().begin(), other.config.items().end(),
                             [&](const auto& item) {
                               const auto found = choice.config.find(item.key());
                               return found != choice.config.end() && *found == item.value();
                             });
        });
    if (!better) return preset.name;
  }
  return choice.method;
}

}  // namespace

std::vector<const Manifest*> RegistryResolver::ready() const {
  std::vector<const Manifest*> manifests;
  for (const FoundPlugin& plugin : plugins_.plugins()) {
    if (plugin.status == PluginStatus::ready) manifests.push_back(&plugin.manifest);
  }
  return manifests;
}

Result<MethodChoice> RegistryResolver::choose(const json& config,
                                              const DispatchOptions& options) const {
  auto choice = dispatch(config, ready(), options);
  if (choice.ok() || choice.error().code() != ErrorCode::plugin) return choice;
  const auto key = dispatch_key(config, options);
  return with_refusals(std::move(choice).error(), key.ok() ? *key : "");
}

Result<MethodChoice> RegistryResolver::choose(const std::string& spec,
                                              const DispatchOptions& options) const {
  auto choice = dispatch_string(spec, ready(), options);
  if (choice.ok() || spec.starts_with('{')) return choice;
  const auto parsed = parse_config_string(spec);
  if (!parsed.ok()) return choice;
  return with_refusals(std::move(choice).error(), parsed->head);
}

Error RegistryResolver::with_refusals(Error error, const std::string& name) const {
  for (const FoundPlugin& plugin : plugins_.plugins()) {
    if (plugin.status != PluginStatus::refused || !plugin.error) continue;
    const Manifest& manifest = plugin.manifest;
    const auto is_name = [&](const auto& entry) { return entry.name == name; };
    const bool has =
        manifest.id == name ||
        std::any_of(manifest.presets.begin(), manifest.presets.end(), is_name) ||
        std::any_of(manifest.quant_methods.begin(), manifest.quant_methods.end(), is_name);
    if (has && !name.empty()) return *plugin.error;
  }
  return error;
}

Result<std::shared_ptr<const Quantizer>> RegistryResolver::from_spec(const std::string& spec,
                                                                     const std::string& library) {
  auto choice = choose(spec, {"", lenient_});
  if (!choice.ok()) return std::move(choice).error();
  if (choice->manifest == nullptr) return std::shared_ptr<const Quantizer>();
  const uint32_t flags = lenient_ ? uint32_t{PRECIS_CONFIG_LENIENT} : 0u;
  return create(*choice, library, flags, spec.starts_with('{') ? spec_of(*choice) : spec);
}

Result<std::shared_ptr<const Quantizer>> RegistryResolver::for_conversion(const std::string& spec,
                                                                          const Component& source) {
  auto choice = choose(spec, {"", lenient_});
  const json* stored = source.quantization_config();
  if (!choice.ok() || choice->manifest == nullptr || stored == nullptr)
    return from_spec(spec, source.library);
  choice->config = with_integer_groups(std::move(choice->config), integer_groups(*stored));
  const uint32_t flags = lenient_ ? uint32_t{PRECIS_CONFIG_LENIENT} : 0u;
  return create(*choice, source.library, flags, spec.starts_with('{') ? spec_of(*choice) : spec);
}

std::string RegistryResolver::loading_remark(const Quantizer& method,
                                             const std::string& library) const {
  if (library.empty()) return {};
  std::string names;
  for (const FoundPlugin& plugin : plugins_.plugins()) {
    if (plugin.manifest.id != method.plugin_id()) continue;
    for (const QuantMethodEntry& entry : plugin.manifest.quant_methods) {
      if (entry.method != method.method()) continue;
      const auto remark = entry.remarks.find(library);
      if (remark != entry.remarks.end()) return remark->second;
      const auto& libraries = entry.libraries;
      if (std::find(libraries.begin(), libraries.end(), library) != libraries.end()) return {};
      names = entry.name;
    }
  }
  if (names.empty()) return {};
  return fmt::format(
      "{} has no quant_method '{}': precis loads and runs this component, {} does not", library,
      names, library);
}

Result<json> RegistryResolver::merge(const json& checkpoint, const json& user,
                                     const std::string& library) {
  if (!lenient_ || user.is_null()) return merge_configs(checkpoint, user, library);
  auto whole = normalize(user, library, true, library_version_);
  // A config of a method without a plugin counts with what it says.
  if (!whole.ok() && whole.error().code() != ErrorCode::plugin) return whole;
  return merge_configs(checkpoint, whole.ok() ? *whole : user, library);
}

Result<std::shared_ptr<const Quantizer>> RegistryResolver::from_component(
    const Component& component, const json& user) {
  const json* own = component.quantization_config();
  if (own != nullptr && lenient_ && component.library == "transformers") {
    PRECIS_ASSIGN(const bool supported, supports_quant_method(*own, component.library));
    if (!supported) {
      logger().warn(
          "transformers does not know the quant_method of this checkpoint ({}); it is "
          "loaded as if it were not quantized",
          own->value("quant_method", json()).dump());
      own = nullptr;
    }
  }
  if (own != nullptr) {
    PRECIS_ASSIGN(const json config, merge(*own, user, component.library));
    PRECIS_ASSIGN(const MethodChoice choice, choose(config, {"", true}));
    // What stands in a checkpoint is read as kindly as Python reads it.
    return create(choice, component.library, PRECIS_CONFIG_PRE_QUANTIZED | PRECIS_CONFIG_LENIENT,
                  spec_of(choice));
  }
  const std::string family = encoding_family(component);
  if (family.empty()) return std::shared_ptr<const Quantizer>();
  PRECIS_ASSIGN(const MethodChoice choice, choose(json{{"quant_method", family}}, {"", true}));
  return create(choice, component.library, PRECIS_CONFIG_PRE_QUANTIZED | PRECIS_CONFIG_LENIENT,
                family);
}

Result<json> RegistryResolver::normalize(const json& config, const std::string& library,
                                         bool python, const std::string& library_version) {
  PRECIS_ASSIGN(const MethodChoice choice, choose(config, {library, lenient_}));
  return normalize_for(choice, choice.config, library, python, library_version);
}

Result<json> RegistryResolver::normalize_for(const MethodChoice& choice, const json& config,
                                             const std::string& library, bool python,
                                             const std::string& library_version) {
  PRECIS_ASSIGN(const LoadedPlugin plugin, plugins_.load(choice.manifest->id));
  PRECIS_ASSIGN(const uint32_t index, plugin.method_index(choice.method));
  const uint32_t flags = (lenient_ ? uint32_t{PRECIS_CONFIG_LENIENT} : 0u) |
                         (python ? uint32_t{PRECIS_CONFIG_PYTHON} : 0u);
  const std::string text = config.dump();
  const precis_config request = request_of(text, library, library_version, flags);
  std::string normalized;
  const precis_sink sink = string_sink(normalized);
  const Call call;
  PRECIS_TRY(
      call.finish(plugin.factory->normalize(call.abi(), index, &request, &sink), choice.method));
  return json::parse(normalized);
}

Result<LibraryConfig> RegistryResolver::library_config(const MethodChoice& choice,
                                                       const std::string& library) {
  PRECIS_ASSIGN(json own, normalize_for(choice, choice.config, library, false, library_version_));
  if (library.empty()) return LibraryConfig{std::move(own), {}};
  if (!serves(*choice.manifest, choice.method, library)) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("{} has no config class for {}", library, choice.method),
                 "leave --library out: precis' own reading has it");
  }
  auto held = normalize_for(choice, own, library, true, library_version_);
  if (!held.ok()) {
    // Constructors that refuse the keys they do not know are given what differs from the defaults.
    PRECIS_ASSIGN(const json defaults,
                  normalize_for(choice, json::object(), library, true, library_version_));
    json known = json::object();
    for (const auto& [key, value] : own.items()) {
      if (defaults.contains(key) && defaults[key] != value) known[key] = value;
    }
    held = normalize_for(choice, known, library, true, library_version_);
  }
  if (!held.ok()) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("{} has no config for this: {}", library, held.error().text()),
                 "leave --library out: precis' own reading has it");
  }
  LibraryConfig result{*std::move(held), {}};
  for (const auto& [key, value] : choice.config.items()) {
    if (key == "quant_method" || !own.contains(key)) continue;
    if (!result.config.contains(key) || result.config[key] != own[key]) result.lost.push_back(key);
  }
  return result;
}

Result<json> RegistryResolver::difference_from_defaults(const MethodChoice& choice,
                                                        const json& canonical,
                                                        const std::string& library,
                                                        const std::string& library_version) {
  auto defaults = normalize_for(choice, json::object(), library, !library.empty(), library_version);
  // A dict may have to hold keys that the constructor has defaults for.
  if (!defaults.ok())
    defaults = normalize_for(choice, json::object(), library, false, library_version);
  if (!defaults.ok()) return std::move(defaults).error();
  json difference = json::object();
  for (const auto& [key, value] : canonical.items()) {
    const bool same =
        key == "quant_method" || (defaults->contains(key) && (*defaults)[key] == value);
    if (!same) difference[key] = value;
  }
  return difference;
}

Result<std::shared_ptr<const Quantizer>> RegistryResolver::create(const MethodChoice& choice,
                                                                  const std::string& library,
                                                                  uint32_t flags,
                                                                  const std::string& spec) {
  PRECIS_ASSIGN(const LoadedPlugin plugin, plugins_.load(choice.manifest->id));
  PRECIS_ASSIGN(const uint32_t index, plugin.method_index(choice.method));
  const std::string text = choice.config.dump();
  const precis_config request = request_of(text, library, library_version_, flags);
  precis_quantizer* handle = nullptr;
  const Call call;
  PRECIS_TRY(call.finish(plugin.factory->create(call.abi(), index, &request, &handle), spec));
  PRECIS_TRY(check_handle(handle, plugin.manifest->id, choice.method));
  std::string canonical;
  if (handle->get_extension(handle, PRECIS_SERIALIZE_1) == nullptr) {
    const precis_sink sink = string_sink(canonical);
    const Call normalize;
    PRECIS_TRY(
        normalize.finish(plugin.factory->normalize(normalize.abi(), index, &request, &sink), spec));
  }
  // The hash tells two builds of one version apart. The manifest is that of the plugin that was
  // loaded, which another one of the same id may have been refused for.
  const std::string version =
      fmt::format("{}+{}", plugin.manifest->version, plugin.manifest->sha256.substr(0, 8));
  return Quantizer::adopt(handle, plugin.manifest->id, version, spec, std::move(canonical));
}

}  // namespace precis
