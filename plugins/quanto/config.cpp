#include "plugins/quanto/config.h"

namespace precis::quanto {

using sdk::Json;
using sdk::Option;
using sdk::OptionType;
using sdk::PluginError;

namespace {

const std::vector<std::string>& python_dtypes() {
  static const std::vector<std::string> names{"float8", "int8", "int4", "int2"};
  return names;
}

Option weights_option(const char* key, Json fallback) {
  return {key,
          OptionType::any,
          true,
          std::move(fallback),
          "weights' dtype: int8, int4, int2, float8 or float8_e5m2",
          {}};
}
Option skip_option() {
  return {"modules_to_not_convert", OptionType::any, true, nullptr, "modules left as they are", {}};
}

// quanto's own names stand for the libraries'.
std::string canonical(const std::string& name) {
  if (name == "qint8" || name == "qint4" || name == "qint2") return name.substr(1);
  if (name == "qfloat8" || name == "qfloat8_e4m3fn" || name == "float8_e4m3fn") return "float8";
  if (name == "qfloat8_e5m2") return "float8_e5m2";
  return name;
}

std::string read_weights(const Json& value, const std::string& key, bool python) {
  std::string name = value.is_string() ? value.get<std::string>() : std::string();
  if (!python) name = canonical(name);
  const auto& known = python_dtypes();
  const bool right = std::find(known.begin(), known.end(), name) != known.end() ||
                     (!python && name == "float8_e5m2");
  if (!right) {
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + key + "' is " + value.dump() +
                                                   ", it must be one of float8, int8, int4, int2");
  }
  return name;
}

}  // namespace

const sdk::OptionTable& options(std::string_view library) {
  static const sdk::OptionTable diffusers("quanto",
                                          {weights_option("weights_dtype", "int8"), skip_option()});
  static const sdk::OptionTable transformers("quanto", {weights_option("weights", "int8"),
                                                        {"activations",
                                                         OptionType::any,
                                                         true,
                                                         nullptr,
                                                         "activations' dtype: int8, float8 or null",
                                                         {}},
                                                        skip_option()});
  static const sdk::OptionTable both("quanto", {weights_option("weights_dtype", nullptr),
                                                weights_option("weights", nullptr),
                                                {"activations",
                                                 OptionType::any,
                                                 true,
                                                 nullptr,
                                                 "activations' dtype: int8, float8 or null",
                                                 {}},
                                                skip_option()});
  if (library == "diffusers") return diffusers;
  return library == "transformers" ? transformers : both;
}

Config read_config(const precis_config& request) {
  const Json object = sdk::parse_config(request);
  const bool python = sdk::as_python(request);
  Config config;
  config.library = sdk::view(request.library);
  config.library_version = sdk::view(request.library_version);
  const bool diffusers = config.library == "diffusers";
  // The two libraries spell the key differently, and each drops the other's without a word; precis
  // takes both.
  const Json values =
      options(python ? config.library : "").read(object, {"quant_method"}, sdk::lenient(request));
  const std::string own_key = diffusers ? "weights_dtype" : "weights";
  std::string key = own_key;
  if (!python && values[key].is_null()) key = diffusers ? "weights" : "weights_dtype";
  const Json weights = !python && values[key].is_null() ? Json("int8") : values[key];
  config.weights = read_weights(weights, key, python);
  Json activations = values.value("activations", Json());
  if (!activations.is_null()) {
    const bool known =
        activations.is_string() && (activations == "int8" || activations == "float8");
    if (!known) {
      throw PluginError(PRECIS_INVALID_ARGUMENT, "'activations' is " + activations.dump() +
                                                     ", it must be int8, float8 or null");
    }
  }
  const Json& skip = values["modules_to_not_convert"];
  if (skip.is_array()) {
    for (const Json& name : skip) {
      if (name.is_string()) config.skip_modules.push_back(name.get<std::string>());
    }
  }
  config.normalized =
      Json{{"quant_method", "quanto"}, {own_key, config.weights}, {"modules_to_not_convert", skip}};
  if (!diffusers) config.normalized["activations"] = activations;
  return config;
}

}  // namespace precis::quanto
