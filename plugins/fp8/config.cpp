#include "plugins/fp8/config.h"

namespace precis::fp8 {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char* kSkipKey = "modules_to_not_convert";

sdk::SkipList skip_list(const precis_config& request, const Json& value) {
  const bool four = sdk::view(request.library_version).substr(0, 2) == "4.";
  return {kSkipKey, sdk::module_list(value),
          four ? sdk::kept_by_leaf_or_segment : sdk::kept_by_pattern};
}

// Sides of a tile, or {0, 0} for null.
std::pair<uint64_t, uint64_t> read_tile(const Json& value) {
  if (value.is_null()) return {0, 0};
  if (!value.is_array()) {
    throw PluginError(PRECIS_INVALID_TYPE,
                      "'weight_block_size' is " + value.dump() + ", it must be a list or null");
  }
  const bool pair = value.size() == 2;
  if (pair && !(value[0].is_number_integer() && value[1].is_number_integer())) {
    throw PluginError(PRECIS_INVALID_TYPE,
                      "'weight_block_size' is " + value.dump() + ", it must hold whole numbers");
  }
  if (!pair || value[0].get<int64_t>() <= 0 || value[1].get<int64_t>() <= 0) {
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'weight_block_size' is " + value.dump() +
                                                   ", it must be two positive numbers");
  }
  return {value[0].get<uint64_t>(), value[1].get<uint64_t>()};
}

std::string one_of(const Json& value, const char* key, const std::vector<std::string>& allowed) {
  const std::string text = value.is_string() ? value.get<std::string>() : std::string();
  if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return text;
  std::string list;
  for (const std::string& name : allowed) list += (list.empty() ? "" : " or ") + name;
  throw PluginError(PRECIS_INVALID_ARGUMENT,
                    "'" + std::string(key) + "' is " + value.dump() + ", it must be " + list);
}

std::string lower(const Json& value) {
  std::string text = value.is_string() ? value.get<std::string>() : std::string();
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return text;
}

}  // namespace

const sdk::OptionTable& tile_options(std::string_view) {
  static const sdk::OptionTable table(
      "fp8",
      {{"activation_scheme", OptionType::string, false, "dynamic", "dynamic or static", {}},
       {"weight_block_size", OptionType::any, true, Json{128, 128}, "rows and columns a scale", {}},
       {"dequantize", OptionType::any, true, false, "decode while loading; of the library", {}},
       {kSkipKey, OptionType::any, true, nullptr, "modules left as they are", {}},
       {"modules_to_convert", OptionType::any, true, nullptr, "further modules (embeddings)", {}},
       {"scale_fmt", OptionType::string, false, "float", "scales: float or ue8m0", {}},
       {"expert_dtype", OptionType::string, false, "fp8", "of experts' weights: fp8 or fp4", {}},
       {"ignored_layers", OptionType::any, true, nullptr, "another name of the list", {}},
       {"fmt", OptionType::any, true, nullptr, "e4m3; of DeepSeek's configs", {}}});
  return table;
}

const sdk::OptionTable& row_options(std::string_view) {
  static const sdk::OptionTable table(
      "fbgemm_fp8",
      {{"activation_scale_ub", OptionType::real, true, 1200.0, "bound of activations", {}},
       {kSkipKey, OptionType::any, true, nullptr, "modules left as they are", {}}});
  return table;
}

TileConfig read_tile_config(const precis_config& request) {
  Json values =
      tile_options("").read(sdk::parse_config(request), {"quant_method"}, sdk::lenient(request));
  if (values[kSkipKey].is_null()) values[kSkipKey] = values["ignored_layers"];
  values.erase("ignored_layers");
  values.erase("fmt");
  values["activation_scheme"] = lower(values["activation_scheme"]);
  one_of(values["activation_scheme"], "activation_scheme", {"dynamic", "static"});
  TileConfig config;
  std::tie(config.tile_rows, config.tile_columns) = read_tile(values["weight_block_size"]);
  config.exponent_scales = one_of(values["scale_fmt"], "scale_fmt", {"float", "ue8m0"}) == "ue8m0";
  one_of(values["expert_dtype"], "expert_dtype", {"fp8", "fp4"});
  config.skip = skip_list(request, values[kSkipKey]);
  values["quant_method"] = sdk::parse_config(request).value("quant_method", "fp8");
  config.normalized = std::move(values);
  return config;
}

RowConfig read_row_config(const precis_config& request) {
  Json values =
      row_options("").read(sdk::parse_config(request), {"quant_method"}, sdk::lenient(request));
  if (!sdk::as_python(request)) row_options("").check(values);
  RowConfig config;
  config.skip = skip_list(request, values[kSkipKey]);
  values["quant_method"] = "fbgemm_fp8";
  config.normalized = std::move(values);
  return config;
}

}  // namespace precis::fp8
