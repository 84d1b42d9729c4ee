#include "plugins/compressed_tensors/config.h"

#include "plugins/compressed_tensors/lax_values.h"
#include "plugins/compressed_tensors/module_match.h"

namespace precis::compressed_tensors {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

bool is_2025(const precis_config& request) {
  return sdk::view(request.library_version).substr(0, 2) == "4.";
}

// "0.17.1" is before 0.18. An unknown version is today's.
bool before_0_18(const Json& version) {
  if (!version.is_string()) return false;
  const std::string text = version.get<std::string>();
  return text.substr(0, 2) == "0." && std::atoi(text.c_str() + 2) < 18;
}

Json read_sparsity(const Json& value, Config& config) {
  if (!sdk::truthy(value)) return Json::object();
  if (!value.is_object()) refuse("sparsity_config", value, "an object");
  const std::string format = read_choice("sparsity_config.format", value.value("format", Json()),
                                         {"dense", "sparse-bitmask", "sparse-24-bitmask"});
  if (format != "dense") config.sparsity_format = format;
  config.sparsity_targets = sdk::module_list(value.value("targets", Json()));
  config.sparsity_ignore = sdk::module_list(value.value("ignore", Json()));
  const bool fixed = format == "sparse-24-bitmask";
  return {{"registry_requires_subclass", false},
          {"format", format},
          {"targets", value.value("targets", Json())},
          {"ignore", value.value("ignore", Json())},
          {"global_sparsity", value.value("global_sparsity", Json(0.0))},
          {"sparsity_structure",
           value.value("sparsity_structure", Json(fixed ? "2:4" : "unstructured"))}};
}

void read_groups(const Json& value, const Rules& rules, Config& config, Json& normalized) {
  if (!value.is_object()) refuse("config_groups", value, "an object");
  normalized = Json::object();
  for (const auto& [name, group] : value.items())
    config.groups.push_back({name, read_scheme(name, group, rules, normalized[name])});
}

// The fields of the library's own config.
void read_library_config(const Json& values, const Rules& rules, Config& config) {
  Json& normalized = config.normalized;
  read_groups(values["config_groups"], rules, config, normalized["config_groups"]);
  const Json& cache = values["kv_cache_scheme"];
  normalized["kv_cache_scheme"] = nullptr;
  if (!cache.is_null()) {
    read_args("kv_cache_scheme", cache, rules, normalized["kv_cache_scheme"]);
    config.has_kv_cache_scheme = true;
  }
  config.format = read_text("format", values["format"]);
  normalized["format"] = config.format;
  std::vector<std::string> states{"initialized", "calibration", "frozen", "compressed"};
  if (!rules.of_2025) states.emplace_back("decompressed");
  normalized["quantization_status"] =
      read_choice("quantization_status", values["quantization_status"], states);
  const Json& ratio = values["global_compression_ratio"];
  normalized["global_compression_ratio"] =
      ratio.is_null() ? Json() : Json(read_number("global_compression_ratio", ratio));
  normalized["ignore"] = nullptr;
  if (!values["ignore"].is_null()) {
    config.skip.modules = read_texts("ignore", values["ignore"]);
    normalized["ignore"] = config.skip.modules;
  }
  if (rules.of_2025) return;
  const Json& experts = values["moe_sparsity_config"];
  if (!experts.is_null() && !experts.is_object())
    refuse("moe_sparsity_config", experts, "an object");
  normalized["moe_sparsity_config"] = experts;
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "compressed-tensors",
      {{"config_groups",
        OptionType::any,
        true,
        nullptr,
        "name to scheme, or preset to targets",
        {}},
       {"format", OptionType::string, false, "dense", "how weights are stored", {}},
       {"quantization_status", OptionType::string, false, "initialized", "state of the model", {}},
       {"kv_cache_scheme", OptionType::any, true, nullptr, "how keys and values are kept", {}},
       {"global_compression_ratio", OptionType::real, true, nullptr, "informational", {}},
       {"ignore", OptionType::any, true, nullptr, "names, classes or re: patterns kept", {}},
       {"sparsity_config", OptionType::any, true, nullptr, "bitmasks of older versions", {}},
       {"transform_config", OptionType::any, true, nullptr, "rotations", {}},
       {"moe_sparsity_config", OptionType::any, true, nullptr, "numbers of experts", {}},
       {"version", OptionType::any, true, nullptr, "of the library that wrote it", {}},
       {"run_compressed", OptionType::any, true, nullptr, "of the library", {}},
       {"dequantize", OptionType::any, true, false, "decode while loading; of the library", {}},
       {"use_optimized_inference", OptionType::any, true, false, "of the library", {}}});
  return table;
}

Config read_config(const precis_config& request) {
  const Rules rules{is_2025(request), sdk::as_python(request)};
  Json object = sdk::parse_config(request);
  // Older checkpoints have the library's config inside of transformers'.
  if (const auto inner = object.find("quantization_config"); inner != object.end()) {
    Json unwrapped = *inner;
    if (!unwrapped.is_object()) refuse("quantization_config", unwrapped, "an object");
    if (object.contains("sparsity_config"))
      unwrapped["sparsity_config"] = object["sparsity_config"];
    object = std::move(unwrapped);
  }
  const Json values = options("").read(object, {"quant_method"}, sdk::lenient(request));
  Config config;
  config.skip = {"ignore", {}, matches_any, nullptr};
  config.padded_words = before_0_18(values["version"]);
  config.has_transforms = sdk::truthy(values["transform_config"]);
  config.normalized["quant_method"] = "compressed-tensors";
  const Json sparsity = read_sparsity(values["sparsity_config"], config);
  if (rules.of_2025) config.normalized["sparsity_config"] = sparsity;
  if (sdk::truthy(values["config_groups"]) || sdk::truthy(values["kv_cache_scheme"]))
    read_library_config(values, rules, config);
  return config;
}

}  // namespace precis::compressed_tensors
