#include "plugins/aqlm/config.h"

namespace precis::aqlm {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char* kSkipKey = "linear_weights_not_to_quantize";

// transformers 4: the parameter's whole name is listed.
bool kept_by_parameter_name(std::string_view module, const sdk::ModuleList& list) {
  return sdk::contains(list, std::string(module) + ".weight");
}

// Python's int, of which bool is one.
int64_t whole(const Json& values, const char* key) {
  const Json& value = values.at(key);
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (!value.is_number_integer())
    throw PluginError(PRECIS_INVALID_TYPE, "'" + std::string(key) + "' is " + value.dump() +
                                               ", it must be a whole number");
  return value.get<int64_t>();
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "aqlm",
      {{"in_group_size", OptionType::any, true, 8, "columns of a block", {}},
       {"out_group_size", OptionType::any, true, 1, "rows of a block", {}},
       {"num_codebooks", OptionType::any, true, 1, "codewords that a block is the sum of", {}},
       {"nbits_per_codebook", OptionType::any, true, 16, "bits of a code", {}},
       {kSkipKey, OptionType::any, true, Json::array(), "weights left as they are", {}}});
  return table;
}

Config read_config(const precis_config& request) {
  Json values =
      options("").read(sdk::parse_config(request), {"quant_method"}, sdk::lenient(request));
  Config config;
  config.in_group_size = whole(values, "in_group_size");
  config.out_group_size = whole(values, "out_group_size");
  config.num_codebooks = whole(values, "num_codebooks");
  config.nbits_per_codebook = whole(values, "nbits_per_codebook");
  Json& skip = values[kSkipKey];
  if (skip.is_null()) skip = Json::array();
  if (!skip.is_array())
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + std::string(kSkipKey) + "' is " + skip.dump() +
                                                   ", it must be a list of texts");
  const bool four = sdk::view(request.library_version).substr(0, 2) == "4.";
  config.skip = {kSkipKey, sdk::module_list(skip),
                 four ? kept_by_parameter_name : sdk::kept_by_pattern};
  values["quant_method"] = "aqlm";
  config.normalized = std::move(values);
  return config;
}

}  // namespace precis::aqlm
