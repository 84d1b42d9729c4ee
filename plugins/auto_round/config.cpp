#include "plugins/auto_round/config.h"

namespace precis::auto_round {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

[[noreturn]] void refuse(const std::string& key, const Json& value, const std::string& rule,
                         precis_status status = PRECIS_INVALID_ARGUMENT) {
  throw PluginError(status, "'" + key + "' is " + value.dump() + ", it must be " + rule);
}

// The library's names and aliases; an empty one and "auto" are auto_gptq.
Packing packing_of(const std::string& name) {
  if (name.empty() || name == "auto" || name == "auto_round:auto_gptq" || name == "auto_round:gptq")
    return Packing::gptq;
  if (name == "auto_round" || name == "auto_round:gptqmodel") return Packing::gptq_v2;
  if (name == "auto_round:auto_awq" || name == "auto_round:awq") return Packing::awq;
  return Packing::unread;
}

int64_t whole(const std::string& key, const Json& value) {
  if (!value.is_number() || value.get<double>() != static_cast<double>(value.get<int64_t>()))
    refuse(key, value, "a whole number");
  return value.get<int64_t>();
}

void check_as_transformers(const Json& values) {
  const Json& bits = values["bits"];
  const double width = bits.is_number() ? bits.get<double>() : 0;
  if (width < 2 || width > 8 || width != static_cast<int>(width)) refuse("bits", bits, "2 to 8");
  const Json& group = values["group_size"];
  if (!group.is_number()) refuse("group_size", group, "a number", PRECIS_INVALID_TYPE);
  if (group.get<double>() != -1 && group.get<double>() <= 0)
    refuse("group_size", group, "-1 or positive");
}

void check_as_diffusers(const Json& values) {
  static const sdk::ModuleList backends{"auto", "torch", "tritonv2", "exllamav2", "marlin"};
  const Json& backend = values["backend"];
  if (!backend.is_string() || !sdk::contains(backends, backend.get<std::string>()))
    refuse("backend", backend, "auto, torch, tritonv2, exllamav2 or marlin");
}

void read_exceptions(const Json& extra, Config& config) {
  if (!extra.is_object()) return;
  for (const auto& [name, scheme] : extra.items()) {
    if (!scheme.is_object()) continue;
    Settings settings = config.settings;
    if (scheme.contains("bits")) settings.bits = whole("extra_config.bits", scheme["bits"]);
    if (scheme.contains("group_size"))
      settings.group_size = whole("extra_config.group_size", scheme["group_size"]);
    config.exceptions.emplace_back(name, settings);
  }
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "auto-round",
      {{"bits", OptionType::any, true, 4, "bits a weight: 2 to 8", {}},
       {"group_size", OptionType::any, true, 128, "columns with one scale; -1: a whole row", {}},
       {"sym", OptionType::any, true, true, "zero point in the middle", {}},
       {"backend", OptionType::any, true, "auto", "kernels of the library", {}},
       {"packing_format",
        OptionType::any,
        true,
        "auto_round:gptq",
        "auto_round:auto_gptq, auto_round:gptqmodel or auto_round:auto_awq",
        {}},
       {"extra_config", OptionType::any, true, nullptr, "schemes of single modules", {}}});
  return table;
}

Config read_config(const precis_config& request) {
  const bool diffusers = sdk::view(request.library) == "diffusers";
  Config config;
  // The library keeps every key that it does not know.
  Json& values = config.normalized = sdk::parse_config(request);
  const auto fill = [&](const char* key, const Json& value) {
    if (!values.contains(key)) values[key] = value;
  };
  fill("bits", 4);
  fill("group_size", 128);
  fill("sym", true);
  fill("backend", "auto");
  if (!diffusers) fill("packing_format", "auto_round:gptq");
  values["quant_method"] = "auto-round";
  if (diffusers)
    check_as_diffusers(values);
  else
    check_as_transformers(values);
  const Json packing = values.value("packing_format", Json());
  config.packing_name = packing.is_string() ? packing.get<std::string>() : std::string();
  config.packing = packing_of(config.packing_name);
  config.has_rotations = sdk::truthy(values.value("rotation_config", Json()));
  if (values["bits"].is_number()) config.settings.bits = whole("bits", values["bits"]);
  if (values["group_size"].is_number())
    config.settings.group_size = whole("group_size", values["group_size"]);
  read_exceptions(values.value("extra_config", Json()), config);
  return config;
}

Settings settings_of(const Config& config, std::string_view module) {
  for (const auto& [name, settings] : config.exceptions)
    if (module == name) return settings;
  for (const auto& [name, settings] : config.exceptions) {
    try {
      if (std::regex_search(module.begin(), module.end(), std::regex(name))) return settings;
    } catch (const std::regex_error&) {
      throw PluginError(PRECIS_INVALID_ARGUMENT,
                        "'extra_config': '" + name + "' is not a regular expression");
    }
  }
  return config.settings;
}

}  // namespace precis::auto_round
