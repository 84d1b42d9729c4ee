#include "plugins/fp_quant/config.h"

namespace precis::fp_quant {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char* kSkipKey = "modules_to_not_convert";

// The path ends with an entry.
bool kept_by_ending(std::string_view path, const sdk::ModuleList& list) {
  return std::any_of(list.begin(), list.end(), [&](const std::string& entry) {
    return path.size() >= entry.size() && path.substr(path.size() - entry.size()) == entry;
  });
}

void require_one_of(const Json& values, const char* key, const std::vector<Json>& allowed) {
  const Json& value = values.at(key);
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
  std::string list;
  for (const Json& name : allowed) list += (list.empty() ? "" : ", ") + name.dump();
  throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + std::string(key) + "' is " + value.dump() +
                                                 ", it must be one of " + list);
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "fp_quant",
      {{"forward_dtype", OptionType::any, true, "nvfp4", "nvfp4 or mxfp4", {}},
       {"forward_method", OptionType::any, true, "abs_max", "abs_max, or of mxfp4 quest", {}},
       {"backward_dtype", OptionType::any, true, "bf16", "of training: bf16, mxfp8 or mxfp4", {}},
       {"store_master_weights", OptionType::any, true, false, "of training: floats stay", {}},
       {"hadamard_group_size",
        OptionType::any,
        true,
        nullptr,
        "columns rotated together; null: 16 of nvfp4, 32 of mxfp4",
        {}},
       {"pseudoquantization",
        OptionType::any,
        true,
        false,
        "the rotated weight is stored as numbers",
        {}},
       {"transform_init", OptionType::any, true, "hadamard", "hadamard, identity or gsr", {}},
       {kSkipKey, OptionType::any, true, nullptr, "modules left as they are; null: lm_head", {}}});
  return table;
}

Config read_config(const precis_config& request) {
  Json values =
      options("").read(sdk::parse_config(request), {"quant_method"}, sdk::lenient(request));
  Config config;
  require_one_of(values, "forward_dtype", {"nvfp4", "mxfp4"});
  config.exponents = values["forward_dtype"] == "mxfp4";
  Json& rotated = values["hadamard_group_size"];
  if (rotated.is_null()) rotated = config.exponents ? 32 : 16;
  if (config.exponents) {
    require_one_of(values, "forward_method", {"abs_max", "quest"});
    require_one_of(values, "hadamard_group_size", {32, 64, 128});
  } else {
    require_one_of(values, "forward_method", {"abs_max"});
    require_one_of(values, "hadamard_group_size", {16, 32, 64, 128});
  }
  require_one_of(values, "backward_dtype", {"bf16", "mxfp8", "mxfp4"});
  if (values["backward_dtype"] != "bf16" && !config.exponents)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'backward_dtype' must be bf16 beside nvfp4");
  require_one_of(values, "transform_init", {"hadamard", "identity", "gsr"});
  if (values[kSkipKey].is_null()) values[kSkipKey] = {"lm_head"};
  config.rotated = rotated.get<int64_t>();
  config.floats = sdk::truthy(values["pseudoquantization"]);
  config.skip = {kSkipKey, sdk::module_list(values[kSkipKey]), kept_by_ending};
  values["quant_method"] = "fp_quant";
  config.normalized = std::move(values);
  return config;
}

}  // namespace precis::fp_quant
