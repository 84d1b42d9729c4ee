#include "plugins/higgs/config.h"

namespace precis::higgs {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char* kSkipKey = "modules_to_not_convert";

// Python compares with ==: 4.0 is 4.
int64_t one_of(const Json& values, const char* key, const std::vector<int64_t>& allowed) {
  const Json& value = values.at(key);
  std::string list;
  for (const int64_t number : allowed) {
    if (value.is_number() && value == number) return number;
    list += (list.empty() ? "" : ", ") + std::to_string(number);
  }
  throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + std::string(key) + "' is " + value.dump() +
                                                 ", it must be one of " + list);
}

int64_t hadamard_size_of(const Json& value, int64_t group_size) {
  if (!value.is_number_integer() && !value.is_boolean() && !value.is_number_float())
    throw PluginError(PRECIS_INVALID_TYPE,
                      "'hadamard_size' is " + value.dump() + ", it must be a whole number");
  const double size =
      value.is_boolean() ? static_cast<double>(value.get<bool>()) : value.get<double>();
  const auto whole = size > -1e15 && size < 1e15 ? static_cast<int64_t>(size) : -1;
  if (static_cast<double>(whole) != size || whole % group_size != 0)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'hadamard_size' is " + value.dump() +
                                                   ", it must be a multiple of group_size");
  return whole;
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "higgs", {{"bits", OptionType::any, true, 4, "of a weight: 2, 3 or 4", {}},
                {"p", OptionType::any, true, 2, "weights that one code of the grid stands for", {}},
                {kSkipKey, OptionType::any, true, nullptr, "modules left as they are", {}},
                {"hadamard_size", OptionType::any, true, 512, "columns rotated together", {}},
                {"group_size", OptionType::any, true, 256, "columns of a scale", {}},
                {"tune_metadata",
                 OptionType::any,
                 true,
                 nullptr,
                 "what FLUTE found fastest for each module",
                 {}}});
  return table;
}

Config read_config(const precis_config& request) {
  Json values =
      options("").read(sdk::parse_config(request), {"quant_method"}, sdk::lenient(request));
  Config config;
  config.bits = static_cast<int>(one_of(values, "bits", {2, 3, 4}));
  one_of(values, "p", {1, 2});
  config.group_size = one_of(values, "group_size", {64, 128, 256});
  config.hadamard_size = hadamard_size_of(values["hadamard_size"], config.group_size);
  if (values["tune_metadata"].is_null()) values["tune_metadata"] = Json::object();
  config.tune_metadata = values["tune_metadata"];
  config.skip = {kSkipKey, sdk::module_list(values[kSkipKey]), sdk::kept_by_pattern};
  values["quant_method"] = "higgs";
  config.normalized = std::move(values);
  return config;
}

}  // namespace precis::higgs
