#include "registry/config/registry_resolver.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/abi/call.h"
#include "core/base/log.h"
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

Result<std::shared_ptr<const Quantizer>> RegistryResolver::from_spec(const std::string& spec,
                                                                     const std::string& library) {
  auto choice = dispatch_string(spec, ready(), {"", lenient_});
  if (!choice.ok()) return std::move(choice).error();
  if (choice->manifest == nullptr) return std::shared_ptr<const Quantizer>();
  const uint32_t flags = lenient_ ? uint32_t{PRECIS_CONFIG_LENIENT} : 0u;
  return create(*choice, library, flags, spec.starts_with('{') ? spec_of(*choice) : spec);
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
    PRECIS_ASSIGN(const MethodChoice choice, dispatch(config, ready(), {"", true}));
    // What stands in a checkpoint is read as kindly as Python reads it.
    return create(choice, component.library, PRECIS_CONFIG_PRE_QUANTIZED | PRECIS_CONFIG_LENIENT,
                  spec_of(choice));
  }
  const std::string family = encoding_family(component);
  if (family.empty()) return std::shared_ptr<const Quantizer>();
  PRECIS_ASSIGN(const MethodChoice choice,
                dispatch(json{{"quant_method", family}}, ready(), {"", true}));
  return create(choice, component.library, PRECIS_CONFIG_PRE_QUANTIZED | PRECIS_CONFIG_LENIENT,
                family);
}

Result<json> RegistryResolver::normalize(const json& config, const std::string& library,
                                         bool python, const std::string& library_version) {
  PRECIS_ASSIGN(const MethodChoice choice, dispatch(config, ready(), {library, lenient_}));
  PRECIS_ASSIGN(const LoadedPlugin plugin, plugins_.load(choice.manifest->id));
  PRECIS_ASSIGN(const uint32_t index, plugin.method_index(choice.method));
  const uint32_t flags = (lenient_ ? uint32_t{PRECIS_CONFIG_LENIENT} : 0u) |
                         (python ? uint32_t{PRECIS_CONFIG_PYTHON} : 0u);
  const std::string text = choice.config.dump();
  const precis_config request = request_of(text, library, library_version, flags);
  std::string normalized;
  const precis_sink sink = string_sink(normalized);
  const Call call;
  PRECIS_TRY(
      call.finish(plugin.factory->normalize(call.abi(), index, &request, &sink), choice.method));
  return json::parse(normalized);
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
  // The hash tells two builds of one version apart.
  const std::string version =
      fmt::format("{}+{}", choice.manifest->version, choice.manifest->sha256.substr(0, 8));
  return Quantizer::adopt(handle, choice.manifest->id, version, spec);
}

}  // namespace precis
