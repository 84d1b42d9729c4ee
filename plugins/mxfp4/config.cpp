#include "plugins/mxfp4/config.h"

namespace precis::mxfp4 {

using sdk::Json;
using sdk::OptionType;

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "mxfp4",
      {{"modules_to_not_convert", OptionType::any, true, nullptr, "modules left as they are", {}},
       {"dequantize", OptionType::any, true, false, "decode while loading; of the library", {}}});
  return table;
}

Config read_config(const precis_config& request) {
  const Json values =
      options("").read(sdk::parse_config(request), {"quant_method"}, sdk::lenient(request));
  const Json& kept = values["modules_to_not_convert"];
  Config config;
  if (kept.is_array()) {
    for (const Json& name : kept)
      if (name.is_string()) config.kept.push_back(name.get<std::string>());
  }
  config.normalized = {{"quant_method", "mxfp4"}, {"modules_to_not_convert", kept}};
  return config;
}

}  // namespace precis::mxfp4
