#include "plugins/sdnq/config.h"

#include <set>

namespace precis::sdnq {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char *kSkipKey = "modules_to_not_convert", *kDtypes = "modules_dtype_dict",
                     *kConfigs = "modules_quant_config";

[[noreturn]] void refuse(const std::string& key, const Json& value, const std::string& rule) {
  throw PluginError(PRECIS_INVALID_ARGUMENT,
                    "'" + key + "' is " + value.dump() + ", it must be " + rule);
}

// A shell pattern of stars. The last star alone is widened, so that no pattern takes more time than
// the product of the lengths.
bool fits_stars(std::string_view name, std::string_view pattern) {
  std::size_t at = 0, star = std::string_view::npos, widened_to = 0;
  for (std::size_t i = 0; i < name.size();) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      widened_to = i;
    } else if (at < pattern.size() && pattern[at] == name[i]) {
      ++at;
      ++i;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      i = ++widened_to;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

// SDNQ's rule for every list of names: ".rest" begins the name of the parameter; else the name, one
// of its segments, or a pattern with stars.
bool names(std::string_view module, const std::string& entry) {
  const std::string name = std::string(module) + ".weight";
  if (entry.substr(0, 1) == ".") return name.compare(0, entry.size() - 1, entry, 1) == 0;
  return name == entry || sdk::kept_by_any_segment(name, {entry}) ||
         (entry.find('*') != std::string::npos && fits_stars(name, entry));
}

bool keeps_named(std::string_view module, const sdk::ModuleList& list) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& entry) { return names(module, entry); });
}

// Python's set of a list, or of one text; its order is anyone's guess.
Json module_names(const Json& value, const char* key) {
  if (value.is_null()) return Json::array();
  if (value.is_string()) return Json::array({value});
  if (!value.is_array()) refuse(key, value, "a list of texts");
  Json names = Json::array();
  for (const Json& name : value) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

Json checked_dtypes(const Json& value) {
  if (value.is_null()) return Json::object();
  if (!value.is_object()) refuse(kDtypes, value, "an object: dtype to module names");
  for (const auto& [dtype, modules] : value.items()) {
    if (!modules.is_array())
      throw PluginError(PRECIS_INVALID_TYPE, "'" + std::string(kDtypes) + "." + dtype + "' is " +
                                                 modules.dump() + ", it must be a list");
  }
  return value;
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table = [] {
    std::vector<sdk::Option> list{
        {"weights_dtype",
         OptionType::any,
         true,
         "int8",
         "int1 to int16, uint1 to uint16, float6_e3m2fn and the like",
         {}},
        {"hadamard_group_size", OptionType::any, true, 256, "columns rotated together", {}},
        {"use_hadamard", OptionType::any, true, false, "columns are rotated", {}},
        {"use_svd", OptionType::any, true, false, "a low-rank part beside the weight", {}},
        {"use_codebook", OptionType::any, true, false, "codes name entries of a table", {}},
        {"use_quantized_matmul",
         OptionType::any,
         true,
         false,
         "for products of integers; weights may be stored transposed, which is not read",
         {}},
        {"modules_to_not_convert", OptionType::any, true, nullptr, "modules left as they are", {}},
        {kDtypes, OptionType::any, true, nullptr, "other dtypes: dtype to module names", {}},
        {kConfigs, OptionType::any, true, nullptr, "other options: module name to options", {}}};
    const Json carried{{"scale_dtype", nullptr},
                       {"zero_point_dtype", nullptr},
                       {"quantized_matmul_dtype", nullptr},
                       {"is_training", false},
                       {"group_size", 0},
                       {"svd_rank", 32},
                       {"dynamic_loss_threshold", nullptr},
                       {"svd_steps", 8},
                       {"codebook_steps", 24},
                       {"use_codebook_scale", false},
                       {"use_grad_ckpt", true},
                       {"quant_conv", false},
                       {"quant_embedding", false},
                       {"use_quantized_matmul_conv", false},
                       {"use_static_quantization", true},
                       {"use_dynamic_quantization", false},
                       {"use_stochastic_rounding", false},
                       {"dequantize_fp32", true},
                       {"non_blocking", false},
                       {"add_skip_keys", true},
                       {"minimum_allowed_numel", 16384},
                       {"minimum_allowed_channel_size", 32},
                       {"modules_to_not_use_matmul", nullptr},
                       {"quantization_device", nullptr},
                       {"return_device", nullptr},
                       {"sdnq_version", nullptr}};
    for (sdk::Option& option : sdk::carried_options(carried)) list.push_back(std::move(option));
    return sdk::OptionTable("sdnq", std::move(list));
  }();
  return table;
}

Config read_config(const precis_config& request) {
  Json values = options("").read(
      sdk::parse_config(request),
      {"quant_method", "is_integer", "is_unsigned", "load_in_8bit", "load_in_4bit"},
      sdk::lenient(request));
  const Json& dtype = values["weights_dtype"];
  const auto number = dtype.is_string() ? number_of(dtype.get<std::string>()) : std::nullopt;
  if (!number)
    refuse("weights_dtype", dtype, "a dtype of SDNQ, such as int8, uint4 or float8_e4m3fn");
  if (sdk::truthy(values["use_codebook"]) && !(number->integer && number->is_unsigned))
    refuse("weights_dtype", dtype, "an unsigned integer beside use_codebook");
  values[kSkipKey] = module_names(values[kSkipKey], kSkipKey);
  values["modules_to_not_use_matmul"] =
      module_names(values["modules_to_not_use_matmul"], "modules_to_not_use_matmul");
  values[kDtypes] = checked_dtypes(values[kDtypes]);
  if (values[kConfigs].is_null()) values[kConfigs] = Json::object();
  if (values["sdnq_version"].is_null()) values["sdnq_version"] = "0.2.8";
  values["is_integer"] = number->integer;
  values["is_unsigned"] = number->is_unsigned;
  values["quant_method"] = sdk::truthy(values["is_training"]) ? "sdnq_training" : "sdnq";
  Config config;
  config.skip = {kSkipKey, sdk::module_list(values[kSkipKey]), keeps_named};
  config.values = values;
  config.normalized = std::move(values);
  return config;
}

Scheme Config::scheme(const std::string& module) const {
  Json own = values;
  if (values[kConfigs].is_object()) {
    for (const auto& [entry, changed] : values[kConfigs].items())
      if (names(module, entry) && changed.is_object()) own.update(changed);
  }
  std::set<std::string> dtypes;
  for (const auto& [dtype, modules] : values[kDtypes].items())
    if (keeps_named(module, sdk::module_list(modules))) dtypes.insert(dtype);
  if (dtypes.size() > 1)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'modules_dtype_dict' names several dtypes for '" + module + "'");
  if (!dtypes.empty()) own["weights_dtype"] = *dtypes.begin();
  Scheme scheme;
  scheme.dtype = own["weights_dtype"].is_string() ? own["weights_dtype"].get<std::string>() : "";
  const auto number = number_of(scheme.dtype);
  if (!number)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'" + scheme.dtype + "', the dtype of '" + module + "', is none of SDNQ's");
  scheme.number = *number;
  scheme.codebook = sdk::truthy(own["use_codebook"]);
  scheme.hadamard = sdk::truthy(own["use_hadamard"]);
  scheme.matmul = sdk::truthy(own["use_quantized_matmul"]);
  const auto whole_number = [&](const char* key) {
    return own[key].is_number_integer() ? own[key].get<int64_t>() : 0;
  };
  scheme.rotated = whole_number("hadamard_group_size");
  scheme.group = whole_number("group_size");
  if (sdk::truthy(own["use_svd"])) scheme.rank = std::max<int64_t>(whole_number("svd_rank"), 0);
  return scheme;
}

}  // namespace precis::sdnq
