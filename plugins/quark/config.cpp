#include "plugins/quark/config.h"

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
TensorConfig weight_config(const Json& layer) {
  TensorConfig config;
  if (!layer.is_object()) return config;
  const Json weight = layer.value("weight", Json());
  if (weight.is_array()) config.dtype = "a list of quantizers";
  if (!weight.is_object()) return config;
  config.dtype = text_at(weight, "dtype");
  config.scheme = text_at(weight, "qscheme");
  config.scale_format = text_at(weight, "scale_format");
  config.axis = number_at(weight, "ch_axis");
  config.group_size = number_at(weight, "group_size");
  config.symmetric = weight.value("symmetric", Json(true)) != Json(false);
  return config;
}

// Python's fnmatch, of "*" and "?".
bool matches(std::string_view name, std::string_view pattern) {
  std::size_t n = 0, p = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++n;
      ++p;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

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
  config.normalized["quant_method"] = "quark";
  config.weights = weight_config(config.normalized.value("global_quant_config", Json()));
  const Json layers = config.normalized.value("layer_quant_config", Json());
  if (layers.is_object()) {
    for (const auto& [pattern, layer] : layers.items())
      config.exceptions.emplace_back(pattern, weight_config(layer));
  }
  return config;
}

const TensorConfig& config_of(const Config& config, std::string_view module) {
  for (const auto& [pattern, weights] : config.exceptions)
    if (matches(module, pattern)) return weights;
  return config.weights;
}

}  // namespace precis::quark
