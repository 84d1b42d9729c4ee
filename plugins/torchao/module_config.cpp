#include "plugins/torchao/module_config.h"

#include <precis/tensor.hpp>
#include <regex>

#include "plugins/torchao/ao_value.h"
#include "plugins/torchao/scheme.h"

namespace precis::torchao {

using sdk::Json;
using sdk::PluginError;

namespace {

constexpr std::string_view kPattern = "re:";

[[noreturn]] void refuse(const std::string& text) {
  throw PluginError(PRECIS_INVALID_ARGUMENT, text);
}

// Both fields hold the same after __post_init__, whichever was given.
const Json& entries_of(const Json& ao_config) {
  static const Json none = Json::object();
  for (const char* key : {"fqn_to_config", "module_fqn_to_config"}) {
    const Json& data = ao_config["_data"];
    const auto found = data.is_object() ? data.find(key) : data.end();
    if (found == data.end() || found->is_null() || found->empty()) continue;
    if (!found->is_object()) refuse("'" + std::string(key) + "' must be an object");
    return *found;
  }
  return none;
}

bool matches(const std::string& entry, std::string_view name) {
  try {
    return std::regex_match(name.begin(), name.end(), std::regex(entry.substr(kPattern.size())));
  } catch (const std::regex_error&) {
    refuse("'" + entry + "' is not a regular expression");
  }
}

}  // namespace

bool has_modules(const Json& ao_config) {
  return is_typed(ao_config) &&
         (ao_config["_type"] == "FqnToConfig" || ao_config["_type"] == "ModuleFqnToConfig");
}

Json config_of_parameter(const Json& ao_config, std::string_view parameter) {
  const Json& entries = entries_of(ao_config);
  const auto normalized = [](const Json& entry) {
    return entry.is_null() ? entry : normalized_ao_config(entry);
  };
  const std::string_view module = sdk::module_of(parameter);
  for (const std::string_view name : {parameter, module}) {
    const auto exact = entries.find(std::string(name));
    if (exact != entries.end()) return normalized(*exact);
  }
  const Json* chosen = nullptr;
  for (const auto& [entry, config] : entries.items()) {
    if (std::string_view(entry).substr(0, kPattern.size()) != kPattern) continue;
    if (!matches(entry, parameter) && !matches(entry, module)) continue;
    if (chosen != nullptr && *chosen != config)
      throw PluginError(PRECIS_UNSUPPORTED,
                        "several patterns of fqn_to_config match it and say different things; "
                        "name the module itself");
    chosen = &config;
  }
  if (chosen != nullptr) return normalized(*chosen);
  const auto fallback = entries.find("_default");
  return fallback == entries.end() ? Json() : normalized(*fallback);
}

}  // namespace precis::torchao
