#include "plugins/hqq/config.h"

#include <cmath>

namespace precis::hqq {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char *kQuantConfig = "quant_config", *kSkipKey = "skip_modules",
                     *kDynamic = "dynamic_config", *kWeightParams = "weight_quant_params";

// Arguments of HqqConfig's constructor, which the dict that Python saves no longer has.
const std::vector<std::string>& flat_keys() {
  static const std::vector<std::string> keys{"nbits", "group_size", "axis", "view_as_float"};
  return keys;
}

[[noreturn]] void refuse(const std::string& key, const Json& value, const std::string& rule) {
  throw PluginError(PRECIS_INVALID_ARGUMENT,
                    "'" + key + "' is " + value.dump() + ", it must be " + rule);
}

// hqq's BaseQuantizeConfig.
Json base_config(const Json& flat) {
  const Json nbits = flat.value("nbits", Json(4)), axis = flat.value("axis", Json(1));
  const Json group_size = flat.value("group_size", Json(64));
  const Json as_float = flat.value("view_as_float", Json(false));
  if (!group_size.is_null() &&
      (!group_size.is_number_integer() || group_size <= 0 || group_size.get<int64_t>() % 8 != 0))
    refuse("group_size", group_size, "a multiple of 8, or null for a whole row");
  return {{kWeightParams,
           {{"nbits", nbits},
            {"channel_wise", true},
            {"group_size", group_size},
            {"optimize", true},
            {"round_zero", nbits == 4},
            {"axis", axis.is_null() ? Json(1) : axis},
            {"view_as_float", as_float}}},
          {"scale_quant_params", nullptr},
          {"zero_quant_params", nullptr},
          {"offload_meta", false}};
}

Json quant_config_of(const Json& object) {
  const Json dynamic = object.value(kDynamic, Json());
  if (dynamic.is_null()) return base_config(object);
  if (!dynamic.is_object()) refuse(kDynamic, dynamic, "an object: linear tag to its options");
  Json by_tag = Json::object();
  for (const auto& [tag, flat] : dynamic.items()) {
    if (!flat.is_object()) refuse(std::string(kDynamic) + "." + tag, flat, "an object");
    by_tag[tag] = base_config(flat);
  }
  return by_tag;
}

bool is_by_tag(const Json& quant_config) {
  return quant_config.is_object() && !quant_config.empty() &&
         !quant_config.contains(kWeightParams) && quant_config.front().is_object();
}

Scheme read_scheme(const Json& quant_config) {
  if (!quant_config.is_object() || !quant_config.contains(kWeightParams) ||
      !quant_config[kWeightParams].is_object()) {
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'quant_config' has no 'weight_quant_params'; give nbits and group_size");
  }
  const Json& params = quant_config[kWeightParams];
  const auto flag = [&](const char* key, bool fallback) {
    return sdk::truthy(params.value(key, Json(fallback)));
  };
  Scheme scheme;
  const Json nbits = params.value("nbits", Json(4)), axis = params.value("axis", Json(0));
  const Json group_size = params.value("group_size", Json(64));
  if (!nbits.is_number()) refuse("nbits", nbits, "a number");
  scheme.nbits = nbits.get<double>();
  check_nbits(scheme.nbits);
  if (axis != 0 && axis != 1) refuse("axis", axis, "0 or 1");
  scheme.axis = axis.get<int>();
  if (!group_size.is_null()) {
    if (!group_size.is_number_integer() || group_size <= 0)
      refuse("group_size", group_size, "a positive whole number, or null");
    scheme.group_size = group_size.get<int64_t>();
  } else {
    scheme.group_size = 0;
  }
  if (!flag("channel_wise", true))
    throw PluginError(PRECIS_UNSUPPORTED, "'channel_wise' is false: hqq cannot decode it again");
  scheme.optimize = flag("optimize", true);
  scheme.round_zero = flag("round_zero", false);
  scheme.view_as_float = flag("view_as_float", false);
  return scheme;
}

// hqq no longer quantizes scales and zero points, and warns: precis refuses, unless lenient.
void check_meta_quantization(const Json& quant_config, bool lenient) {
  for (const char* key : {"scale_quant_params", "zero_quant_params"}) {
    if (!quant_config.is_object() || quant_config.value(key, Json()).is_null()) continue;
    const std::string text = "'" + std::string(key) +
                             "': hqq 0.2 stores scales and zero points as numbers and ignores it";
    if (!lenient) throw PluginError(PRECIS_UNSUPPORTED, text + "; set it to null");
    sdk::Host::get().log(PRECIS_LOG_WARNING, text);
  }
}

bool keeps_tag(std::string_view module, const sdk::ModuleList& tags) {
  return sdk::contains(tags, linear_tag(module));
}

}  // namespace

void check_nbits(double nbits) {
  for (const double known : {8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.58, 1.0}) {
    if (std::fabs(nbits - known) < 1e-6) return;
  }
  throw PluginError(PRECIS_UNSUPPORTED, "'nbits' is " + Json(nbits).dump() +
                                            ", it must be 8, 6, 5, 4, 3, 2, 1.58 or 1");
}

int Scheme::levels() const {
  return static_cast<int>(std::lround(std::exp2(nbits) - 1));
}

int Scheme::packed_bits() const {
  if (nbits > 4) return 8;
  return nbits > 3 ? 4 : nbits > 2 ? 3 : nbits > 1 ? 2 : 1;
}

std::string Scheme::packing() const {
  return packed_bits() == 3 ? "3bit_32" : std::to_string(packed_bits()) + "bit_u8";
}

std::string linear_tag(std::string_view module) {
  std::string tag;
  for (std::size_t begin = 0; begin <= module.size();) {
    const std::size_t end = std::min(module.find('.', begin), module.size());
    const std::string_view segment = module.substr(begin, end - begin);
    const bool number =
        !segment.empty() && segment.find_first_not_of("0123456789") == std::string_view::npos;
    if (segment != "model" && segment != "layers" && !number) {
      if (!tag.empty()) tag += '.';
      tag += segment;
    }
    begin = end + 1;
  }
  return tag;
}

bool Config::names(std::string_view module) const {
  return !by_tag || quant_config.contains(linear_tag(module));
}

Scheme Config::scheme(std::string_view module) const {
  if (!by_tag) return read_scheme(quant_config);
  const auto found = quant_config.find(linear_tag(module));
  if (found == quant_config.end())
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'quant_config' has no entry '" + linear_tag(module) + "'");
  return read_scheme(*found);
}

const sdk::OptionTable& options(std::string_view library) {
  static const sdk::OptionTable saved(
      "hqq",
      {{kQuantConfig, OptionType::any, true, nullptr, "hqq's own config, or one a tag", {}},
       {kSkipKey, OptionType::any, true, Json{"lm_head"}, "linear tags left as they are", {}}});
  static const sdk::OptionTable all = [] {
    std::vector<sdk::Option> list{
        {"nbits", OptionType::any, true, 4, "bits a weight: 8, 6, 5, 4, 3, 2, 1.58 or 1", {}},
        {"group_size", OptionType::any, true, 64, "weights with one scale; null: a whole row", {}},
        {"axis",
         OptionType::any,
         true,
         1,
         "1: groups along in_features; 0: along out_features",
         {}},
        {"view_as_float",
         OptionType::any,
         true,
         false,
         "store codes as floats of the same bits",
         {}},
        {kDynamic,
         OptionType::any,
         true,
         nullptr,
         "options by linear tag; the others are kept",
         {}}};
    list.insert(list.end(), saved.options().begin(), saved.options().end());
    return sdk::OptionTable("hqq", std::move(list));
  }();
  return library == "transformers" ? saved : all;
}

Config read_config(const precis_config& request) {
  const Json object = sdk::parse_config(request);
  const bool python = sdk::as_python(request), lenient = sdk::lenient(request);
  for (const char* key : {kQuantConfig, kSkipKey}) {
    if (python && !object.contains(key))
      throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + std::string(key) + "' is missing");
  }
  const Json values = options(python ? "transformers" : "").read(object, {"quant_method"}, lenient);
  Config config;
  config.quant_config =
      object.contains(kQuantConfig) ? object[kQuantConfig] : quant_config_of(object);
  for (const std::string& key : flat_keys()) {
    if (!python && object.contains(kQuantConfig) && object.contains(key))
      throw PluginError(PRECIS_INVALID_ARGUMENT,
                        "'" + key + "' and 'quant_config' both say it; give one of them");
  }
  config.by_tag = is_by_tag(config.quant_config);
  const bool pre_quantized = (request.flags & PRECIS_CONFIG_PRE_QUANTIZED) != 0;
  if (!python && !pre_quantized) {
    const Json each = config.by_tag ? config.quant_config : Json{{"", config.quant_config}};
    for (const Json& one : each) check_meta_quantization(one, lenient);
    if (!object.contains(kQuantConfig)) {
      for (const Json& one : each) read_scheme(one);
    }
  }
  config.skip = {kSkipKey, sdk::module_list(values[kSkipKey]), keeps_tag,
                 [](std::string_view module) { return linear_tag(module); }};
  config.normalized = {
      {kQuantConfig, config.quant_config}, {"quant_method", "hqq"}, {kSkipKey, values[kSkipKey]}};
  return config;
}

}  // namespace precis::hqq
