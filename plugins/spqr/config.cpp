#include "plugins/spqr/config.h"

namespace precis::spqr {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char* kSkipKey = "modules_to_not_convert";

// Python's int, of which bool is one.
void require_number(const Json& values, const char* key, int64_t number) {
  const Json& value = values.at(key);
  if (!value.is_number_integer() && !value.is_boolean())
    throw PluginError(PRECIS_INVALID_TYPE, "'" + std::string(key) + "' is " + value.dump() +
                                               ", it must be a whole number");
  if (value == number) return;
  throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + std::string(key) + "' is " + value.dump() +
                                                 ", SpQR has " + std::to_string(number) + " alone");
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "spqr", {{"bits", OptionType::any, true, 3, "of a weight; 3 alone", {}},
               {"beta1", OptionType::any, true, 16, "rows of a tile; 16 alone", {}},
               {"beta2", OptionType::any, true, 16, "columns of a tile; 16 alone", {}},
               {"shapes", OptionType::any, true, nullptr, "elements of each stored tensor", {}},
               {kSkipKey, OptionType::any, true, nullptr, "modules left as they are", {}}});
  return table;
}

Config read_config(const precis_config& request) {
  Json values =
      options("").read(sdk::parse_config(request), {"quant_method"}, sdk::lenient(request));
  require_number(values, "bits", 3);
  require_number(values, "beta1", 16);
  require_number(values, "beta2", 16);
  Json& shapes = values["shapes"];
  if (shapes.is_null()) shapes = Json::object();
  if (!shapes.is_object())
    throw PluginError(PRECIS_INVALID_TYPE,
                      "'shapes' is " + shapes.dump() + ", it must be an object");
  Config config;
  config.skip = {kSkipKey, sdk::module_list(values[kSkipKey]), sdk::kept_by_pattern};
  values["quant_method"] = "spqr";
  config.normalized = std::move(values);
  return config;
}

}  // namespace precis::spqr
