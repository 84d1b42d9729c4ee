#include "plugins/nunchaku/config.h"

namespace precis::nunchaku {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

// Libraries take 16 to 256.
constexpr int64_t kLargestRank = 1 << 16;
constexpr const char *kSvdq = "svdq_w4a4", *kAwq = "awq_w4a16";

[[noreturn]] void refuse(const std::string& what, const Json& value, const std::string& rule) {
  throw PluginError(PRECIS_INVALID_ARGUMENT,
                    "'" + what + "' is " + value.dump() + ", it must be " + rule);
}

const Json& field(const Json& section, const char* name, const char* key) {
  const auto found = section.find(key);
  if (found == section.end())
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "'" + std::string(name) + "' has no '" + std::string(key) + "'");
  return *found;
}

// Python's int, of which bool is one.
int64_t whole(const Json& section, const char* name, const char* key) {
  const Json& value = field(section, name, key);
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (!value.is_number_integer()) refuse(std::string(name) + "." + key, value, "a whole number");
  return value.get<int64_t>();
}

sdk::ModuleList targets_of(const Json& section, const char* name) {
  const Json& targets = field(section, name, "targets");
  const bool texts = targets.is_array() && !targets.empty() &&
                     std::all_of(targets.begin(), targets.end(),
                                 [](const Json& target) { return target.is_string(); });
  if (!texts) refuse(std::string(name) + ".targets", targets, "a list of module paths");
  return sdk::module_list(targets);
}

std::string precision_of(const Json& section, const char* name) {
  const Json& precision = field(section, name, "precision");
  if (precision != "int4" && precision != "nvfp4")
    refuse(std::string(name) + ".precision", precision, "int4 or nvfp4");
  return precision.get<std::string>();
}

void read_svdq(const Json& section, Config& config) {
  config.nvfp4 = precision_of(section, kSvdq) == "nvfp4";
  const int64_t group = config.nvfp4 ? 16 : 64;
  if (whole(section, kSvdq, "group_size") != group)
    refuse(std::string(kSvdq) + ".group_size", section["group_size"],
           std::to_string(group) + " with this precision");
  config.rank = whole(section, kSvdq, "rank");
  if (config.rank < 0 || config.rank > kLargestRank)
    refuse(std::string(kSvdq) + ".rank", section["rank"],
           "0 to " + std::to_string(kLargestRank));
  config.svdq = targets_of(section, kSvdq);
}

void read_awq(const Json& section, Config& config) {
  if (precision_of(section, kAwq) != "int4")
    refuse(std::string(kAwq) + ".precision", section["precision"], "int4");
  config.awq_group = whole(section, kAwq, "group_size");
  if (config.awq_group <= 0)
    refuse(std::string(kAwq) + ".group_size", section["group_size"], "above 0");
  config.awq = targets_of(section, kAwq);
}

std::string dtype_of(const Json& value) {
  if (value.is_null()) return "bfloat16";
  const std::string name = value.is_string() ? value.get<std::string>() : "";
  const std::string known = name.find('.') == std::string::npos ? sdk::torch_dtype(name) : "";
  if (known.empty()) refuse("compute_dtype", value, "the name of a torch dtype");
  return known;
}

}  // namespace

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "nunchaku_lite",
      {{"compute_dtype", OptionType::any, true, nullptr, "of floats; null: bfloat16", {}},
       {kSvdq,
        OptionType::any,
        true,
        nullptr,
        "SVDQuant's modules: precision, group_size, rank, targets",
        {}},
       {kAwq,
        OptionType::any,
        true,
        nullptr,
        "AWQ's modules: precision, group_size, targets",
        {}}});
  return table;
}

Config read_config(const precis_config& request) {
  Json values = options("").read(sdk::parse_config(request),
                                 {"quant_method", "pre_quantized", "load_in_8bit", "load_in_4bit"},
                                 sdk::lenient(request));
  values["compute_dtype"] = dtype_of(values["compute_dtype"]);
  Config config;
  if (values[kSvdq].is_null() && values[kAwq].is_null())
    throw PluginError(PRECIS_INVALID_ARGUMENT, "neither 'svdq_w4a4' nor 'awq_w4a16' is given");
  for (const char* name : {kSvdq, kAwq}) {
    const Json& section = values[name];
    if (section.is_null()) continue;
    if (!section.is_object()) refuse(name, section, "an object");
    name == kSvdq ? read_svdq(section, config) : read_awq(section, config);
  }
  values["pre_quantized"] = true;
  values["quant_method"] = "nunchaku_lite";
  config.normalized = std::move(values);
  return config;
}

}  // namespace precis::nunchaku
