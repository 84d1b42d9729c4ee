#include "plugins/quark/config.h"

#include "plugins/shell_pattern.h"

namespace precis::quark {

using sdk::Json;
using sdk::PluginError;

namespace {

std::string text_at(const Json& object, const char* key) {
  const Json value = object.value(key, Json());
  return value.is_string() ? value.get<std::string>() : std::string();
}

int64_t number_at(const Json& object, const char* key) {
  const Json value = object.value(key, Json());
  return value.is_number_integer() ? value.get<int64_t>() : 0;
}

// "weight" of a layer's config: an object, or a list of them where scales are quantized in turn.
TensorConfig weight_config(const Json& layer, bool in_order) {
  TensorConfig config;
  config.in_order = in_order;
  if (!layer.is_object()) return config;
  const Json weight = layer.value("weight", Json());
  if (weight.is_array()) config.dtype = "a list of quantizers";
  if (!weight.is_object()) return config;
  config.dtype = text_at(weight, "dtype");
  config.scheme = text_at(weight, "qscheme");
  config.scale_format = text_at(weight, "scale_format");
  config.scale_mode = text_at(weight, "scale_calculation_mode");
  config.axis = number_at(weight, "ch_axis");
  config.group_size = number_at(weight, "group_size");
  config.symmetric = weight.value("symmetric", Json(true)) != Json(false);
  return config;
}

constexpr const char* kVersion = "0.13";  // whose stored forms are written

void add_missing(const Json& defaults, Json& object) {
  for (const auto& [key, value] : defaults.items())
    if (!object.contains(key)) object[key] = value;
}

const char* observer_of(const Json& weight) {
  const std::string scheme = text_at(weight, "qscheme");
  if (scheme == "per_tensor") return "PerTensorMinMaxObserver";
  if (scheme == "per_channel") return "PerChannelMinMaxObserver";
  return text_at(weight, "scale_format") == "e8m0" ? "PerBlockMXObserver"
                                                   : "PerGroupMinMaxObserver";
}

void complete_layer(Json& layer) {
  if (!layer.is_object()) return;
  for (const char* key : {"input_tensors", "output_tensors", "bias", "target_device"})
    if (!layer.contains(key)) layer[key] = nullptr;
  if (!layer.contains("weight") || !layer["weight"].is_object()) return;
  static const Json defaults{
      {"is_dynamic", false},         {"symmetric", true},       {"ch_axis", nullptr},
      {"group_size", nullptr},       {"block_size", nullptr},   {"round_method", "half_even"},
      {"scale_type", "float"},       {"scale_format", nullptr}, {"scale_calculation_mode", nullptr},
      {"mx_element_dtype", nullptr}, {"is_scale_quant", false}, {"zero_point_type", "int32"}};
  add_missing(defaults, layer["weight"]);
  add_missing({{"observer_cls", observer_of(layer["weight"])}}, layer["weight"]);
}

}  // namespace

Json complete(Json config) {
  static const Json exported{{"kv_cache_group", Json::array()},
                             {"min_kv_scale", 0.0},
                             {"pack_method", "reorder"},
                             {"weight_format", "real_quantized"},
                             {"weight_merge_groups", nullptr}};
  static const Json defaults{{"algo_config", nullptr},
                             {"exclude", Json::array()},
                             {"export", exported},
                             {"layer_quant_config", Json::object()},
                             {"layer_type_quant_config", Json::object()},
                             {"kv_cache_quant_config", Json::object()},
                             {"quant_mode", "eager_mode"},
                             {"version", kVersion}};
  add_missing(defaults, config);
  if (config.contains("global_quant_config")) complete_layer(config["global_quant_config"]);
  if (config["layer_quant_config"].is_object())
    for (Json& layer : config["layer_quant_config"]) complete_layer(layer);
  return config;
}

const sdk::OptionTable& options(std::string_view) {
  using sdk::OptionType;
  static const sdk::OptionTable table(
      "quark",
      {{"global_quant_config", OptionType::any, true, nullptr, "of every layer", {}},
       {"layer_quant_config", OptionType::any, true, nullptr, "of layers by their paths", {}},
       {"layer_type_quant_config", OptionType::any, true, nullptr, "of layers by class", {}},
       {"exclude", OptionType::any, true, nullptr, "layers left as they are", {}},
       {"export", OptionType::any, true, nullptr, "how it was saved", {}}});
  return table;
}

Config read_config(const precis_config& request) {
  Config config;
  // Quark keeps more keys than are read here.
  config.normalized = sdk::parse_config(request);
  if (!sdk::lenient(request))
    options("").read(
        config.normalized,
        {"quant_method", "algo_config", "kv_cache_quant_config", "kv_cache_group",
         "kv_cache_post_rope", "min_kv_scale", "quant_mode", "softmax_quant_spec", "version"},
        false);
  config.normalized["quant_method"] = "quark";
  const Json exported = config.normalized.value("export", Json());
  const bool in_order = exported.is_object() && text_at(exported, "pack_method") == "order";
  config.weights = weight_config(config.normalized.value("global_quant_config", Json()), in_order);
  config.excluded = sdk::module_list(config.normalized.value("exclude", Json()));
  const Json layers = config.normalized.value("layer_quant_config", Json());
  if (layers.is_object()) {
    for (const auto& [pattern, layer] : layers.items())
      config.exceptions.emplace_back(pattern, weight_config(layer, in_order));
  }
  return config;
}

const TensorConfig& config_of(const Config& config, std::string_view module) {
  for (const auto& [pattern, weights] : config.exceptions)
    if (plugins::matches_pattern(module, pattern)) return weights;
  return config.weights;
}

}  // namespace precis::quark
