#include "plugins/torchao/config.h"

#include <map>

#include "plugins/torchao/scheme.h"

namespace precis::torchao {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char *kType = "quant_type", *kKwargs = "quant_type_kwargs",
                     *kSkipKey = "modules_to_not_convert";

[[noreturn]] void refuse(precis_status status, const Json& value, const std::string& rule) {
  throw PluginError(status, "'quant_type' is " + value.dump() + ", it must be " + rule);
}

sdk::Option type_option() {
  return {kType,
          OptionType::any,
          true,
          nullptr,
          "{\"default\": a torchao config object}, or a name: int8_weight_only, int4_weight_only, "
          "float8_weight_only, int8_dynamic_activation_int8_weight ...",
          {}};
}
sdk::Option skip_option() {
  return {kSkipKey, OptionType::any, true, nullptr, "modules left as they are", {}};
}
sdk::Option kwargs_option() {
  return {kKwargs, OptionType::any, true, Json::object(), "arguments of a name", {}};
}
std::vector<sdk::Option> embedding_options() {
  return {{"include_input_output_embeddings",
           OptionType::any,
           true,
           false,
           "embeddings are quantized too",
           {}},
          {"untie_embedding_weights", OptionType::any, true, false, "of the library", {}}};
}

// Arguments that stand beside the name in precis' own form.
const std::vector<std::string>& flat_arguments() {
  static const std::vector<std::string> keys{"group_size", "granularity", "weight_dtype",
                                             "packing_format", "reduce_range"};
  return keys;
}

// A list's entry followed by a dot stands anywhere in the parameter's name, or is the name:
// diffusers, and transformers 4.
bool kept_by_segment(std::string_view module, const sdk::ModuleList& list) {
  const std::string parameter = std::string(module) + ".weight";
  return std::any_of(list.begin(), list.end(), [&](const std::string& entry) {
    return parameter == entry || parameter.find(entry + ".") != std::string::npos;
  });
}
// transformers 5 matches names of parameters.
bool kept_by_parameter_pattern(std::string_view module, const sdk::ModuleList& list) {
  return sdk::kept_by_pattern(std::string(module) + ".weight", list);
}

// transformers 4.48 and diffusers 0.33: names, each with arguments of its own.
void check_name_of_2025(const Json& object, bool diffusers) {
  static const std::map<std::string, std::vector<std::string>> int8{
      {"int8_weight_only", {"group_size"}}};
  static const std::vector<std::string> int4{"group_size", "layout", "use_hqq",
                                             "zero_point_domain"};
  static const std::vector<std::string> dynamic{"layout", "act_mapping_type", "weight_only_decode"};
  if (!object.contains(kType)) throw PluginError(PRECIS_INVALID_TYPE, "'quant_type' is missing");
  const Json& type = object[kType];
  if (type.is_structured()) refuse(PRECIS_INVALID_TYPE, type, "a name");
  const std::string name = type.is_string() ? type.get<std::string>() : std::string();
  const bool known =
      name == "int4_weight_only" || name == "int8_weight_only" ||
      name == "int8_dynamic_activation_int8_weight" ||
      (diffusers && (name == "int4wo" || name == "int8wo" || name == "int8dq" || name == "int4dq" ||
                     name == "int8_dynamic_activation_int4_weight" || name == "uintx_weight_only" ||
                     (name.size() == 7 && name.compare(0, 4, "uint") == 0)));
  if (!known) refuse(PRECIS_INVALID_ARGUMENT, type, "a method of the library");
  const Json arguments = object.contains(kKwargs) ? object[kKwargs] : Json{{"quant_method", ""}};
  const bool of_int4 = name == "int4wo" || name == "int4_weight_only";
  const bool of_int8 = name == "int8wo" || name == "int8_weight_only";
  const std::vector<std::string> group{"group_size"};
  const auto& allowed = of_int4                                      ? int4
                        : of_int8 || name.compare(0, 4, "uint") == 0 ? group
                                                                     : dynamic;
  for (const auto& [key, value] : arguments.items()) {
    if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
      throw PluginError(PRECIS_INVALID_ARGUMENT, name + " has no argument '" + key + "'");
  }
}

Json ao_config_of(const Json& object, bool python) {
  const Json type = object.value(kType, Json());
  if (type.is_string() && !python) {
    Json arguments = object.value(kKwargs, Json::object());
    if (!arguments.is_object()) arguments = Json::object();
    for (const std::string& key : flat_arguments()) {
      if (object.contains(key)) arguments[key] = object[key];
    }
    return ao_config_of_name(type.get<std::string>(), arguments);
  }
  if (!object.contains(kType))
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'quant_type' is missing: int8_weight_only ...");
  if (type.is_null() || type.is_number() || type.is_boolean())
    refuse(PRECIS_INVALID_TYPE, type, "an object with 'default'");
  if (!type.is_object() || type.size() != 1 || !type.contains("default"))
    refuse(PRECIS_INVALID_ARGUMENT, type, "an object with 'default' alone");
  return normalized_ao_config(type["default"]);
}

}  // namespace

const sdk::OptionTable& options(std::string_view library) {
  static const sdk::OptionTable diffusers("torchao", {type_option(), skip_option()});
  static const auto with = [](std::vector<sdk::Option> list, const std::vector<sdk::Option>& more) {
    list.insert(list.end(), more.begin(), more.end());
    return list;
  };
  static const sdk::OptionTable transformers(
      "torchao", with({type_option(), skip_option()}, embedding_options()));
  static const sdk::OptionTable named("torchao", {type_option(), skip_option(), kwargs_option()});
  static const sdk::OptionTable all = [] {
    std::vector<sdk::Option> list =
        with({type_option(), skip_option(), kwargs_option()}, embedding_options());
    for (const std::string& key : flat_arguments())
      list.push_back({key, OptionType::any, true, nullptr, "argument of a named quant_type", {}});
    return sdk::OptionTable("torchao", std::move(list));
  }();
  if (library == "named") return named;
  return library == "diffusers" ? diffusers : library == "transformers" ? transformers : all;
}

Config read_config(const precis_config& request) {
  const Json object = sdk::parse_config(request);
  const bool python = sdk::as_python(request), lenient = sdk::lenient(request);
  const std::string library(sdk::view(request.library));
  const std::string_view version = sdk::view(request.library_version);
  const bool of_2025 = version.substr(0, 2) == "4." || version.substr(0, 4) == "0.33";
  const bool named = of_2025 && python;
  if (named) check_name_of_2025(object, library == "diffusers");
  Json values = options(named    ? "named"
                        : python ? library
                                 : "")
                    .read(object, {"quant_method", kKwargs}, lenient);
  Config config;
  if (named) {
    config.normalized = values;
  } else {
    config.ao_config = ao_config_of(object, python);
    values[kType] = {{"default", config.ao_config}};
    config.normalized = {{kType, values[kType]}, {kSkipKey, values[kSkipKey]}};
    if (library != "diffusers") {
      for (const sdk::Option& option : embedding_options())
        config.normalized[option.key] = values.value(option.key, option.fallback);
    }
    config.embeddings = sdk::truthy(values.value("include_input_output_embeddings", Json(false)));
  }
  config.skip = {
      kSkipKey, sdk::module_list(values[kSkipKey]),
      library == "transformers" && !of_2025 ? kept_by_parameter_pattern : kept_by_segment};
  config.normalized["quant_method"] = "torchao";
  return config;
}

}  // namespace precis::torchao
