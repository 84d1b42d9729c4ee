#include "plugins/bitnet/config.h"

namespace precis::bitnet {

using sdk::Json;
using sdk::OptionType;

namespace {

constexpr const char* kSkipKey = "modules_to_not_convert";

const sdk::OptionTable& options_of_4() {
  static const sdk::OptionTable table(
      "bitnet", {{kSkipKey, OptionType::any, true, nullptr, "modules left as they are", {}}});
  return table;
}

std::string one_of(const char* key, const Json& value, const char* first, const char* second) {
  if (value == first || value == second) return value.get<std::string>();
  throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "'" + std::string(key) + "' is " + value.dump() +
                                                      ", it must be " + first + " or " + second);
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "bitnet",
      {{kSkipKey, OptionType::any, true, nullptr, "modules left as they are", {}},
       {"linear_class", OptionType::any, true, "bitlinear", "bitlinear or autobitlinear", {}},
       {"quantization_mode", OptionType::any, true, "offline", "offline or online", {}},
       {"use_rms_norm", OptionType::any, true, false, "a norm before each layer", {}},
       {"rms_norm_eps", OptionType::any, true, 1e-6, "of these norms", {}}});
  return table;
}

Config read_config(const precis_config& request) {
  const bool four = sdk::view(request.library_version).substr(0, 2) == "4.";
  const Json object = sdk::parse_config(request);
  static const std::vector<std::string> others{"quant_method", "linear_class", "quantization_mode",
                                               "use_rms_norm", "rms_norm_eps"};
  Json values = (four ? options_of_4() : options("")).read(object, others, sdk::lenient(request));
  Config config;
  if (!four) {
    config.scale_multiplies = one_of("linear_class", values["linear_class"], "bitlinear",
                                     "autobitlinear") == "autobitlinear";
    config.online =
        one_of("quantization_mode", values["quantization_mode"], "offline", "online") == "online";
    config.normalizes = sdk::truthy(values["use_rms_norm"]);
  }
  config.skip = {kSkipKey, sdk::module_list(values[kSkipKey]), sdk::kept_by_pattern};
  values["quant_method"] = "bitnet";
  config.normalized = std::move(values);
  return config;
}

}  // namespace precis::bitnet
