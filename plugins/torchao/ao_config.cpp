#include <map>

#include "plugins/torchao/ao_value.h"
#include "plugins/torchao/scheme.h"

namespace precis::torchao {

using sdk::Json;
using sdk::PluginError;

namespace {

[[noreturn]] void refuse(const std::string& text) {
  throw PluginError(PRECIS_INVALID_ARGUMENT, text);
}

const Json& per_row() {
  static const Json value = dataclass("PerRow", {{"dim", -1}});
  return value;
}
Json per_group(const Json& size) {
  return dataclass("PerGroup", {{"group_size", size}});
}

// The classes' fields with their defaults, torchao 0.18.
const std::map<std::string, Json>& config_classes() {
  static const Json symmetric = enum_object("MappingType", "SYMMETRIC");
  static const Json e4m3 = dtype_value("float8_e4m3fn");
  static const Json unpacked = enum_object("IntxPackingFormat", "UNPACKED_TO_INT8");
  static const Json affine = enum_object("IntxChooseQParamsAlgorithm", "AFFINE");
  static const std::map<std::string, Json> classes{
      {"Int8WeightOnlyConfig",
       {{"group_size", nullptr}, {"granularity", per_row()}, {"set_inductor_config", true}}},
      {"Int8DynamicActivationInt8WeightConfig",
       {{"act_mapping_type", symmetric},
        {"weight_only_decode", false},
        {"granularity", per_row()},
        {"set_inductor_config", true},
        {"reduce_range", false}}},
      {"Int4WeightOnlyConfig",
       {{"group_size", 128},
        {"set_inductor_config", true},
        {"int4_packing_format", enum_object("Int4PackingFormat", "PLAIN")},
        {"int4_choose_qparams_algorithm", enum_object("Int4ChooseQParamsAlgorithm", "TINYGEMM")},
        {"int4_tile_packed_ntile", 8}}},
      {"IntxWeightOnlyConfig",
       {{"weight_dtype", dtype_value("int8")},
        {"granularity", dataclass("PerAxis", {{"axis", 0}})},
        {"mapping_type", symmetric},
        {"scale_dtype", nullptr},
        {"intx_packing_format", unpacked},
        {"intx_choose_qparams_algorithm", affine}}},
      {"Int8DynamicActivationIntxWeightConfig",
       {{"weight_dtype", dtype_value("int8")},
        {"weight_granularity", per_group(32)},
        {"weight_mapping_type", symmetric},
        {"weight_scale_dtype", nullptr},
        {"act_mapping_type", enum_object("MappingType", "ASYMMETRIC")},
        {"intx_packing_format", unpacked},
        {"intx_choose_qparams_algorithm", affine}}},
      {"Float8WeightOnlyConfig",
       {{"weight_dtype", e4m3}, {"set_inductor_config", true}, {"granularity", per_row()}}},
      {"Float8DynamicActivationFloat8WeightConfig",
       {{"activation_dtype", e4m3},
        {"weight_dtype", e4m3},
        {"granularity",
         {dataclass("PerTensor", Json::object()), dataclass("PerTensor", Json::object())}},
        {"packing_format", enum_object("Float8PackingFormat", "PLAIN")},
        {"mm_config",
         dataclass("Float8MMConfig",
                   {{"emulate", false}, {"use_fast_accum", true}, {"pad_inner_dim", false}})},
        {"activation_value_lb", nullptr},
        {"activation_value_ub", nullptr},
        {"kernel_preference", enum_object("KernelPreference", "AUTO")},
        {"set_inductor_config", true},
        {"alg_id", 0}}}};
  return classes;
}

// Granularities and the like: their fields, and the version that config_to_dict() adds.
Json normalized_value(const Json& value) {
  static const std::map<std::string, Json> classes{
      {"PerRow", {{"dim", -1}}},
      {"PerAxis", {{"axis", 0}}},
      {"PerTensor", Json::object()},
      {"PerGroup", Json::object()},
      {"Float8MMConfig",
       {{"emulate", false}, {"use_fast_accum", false}, {"pad_inner_dim", false}}}};
  if (value.is_array()) {
    Json list = Json::array();
    for (const Json& item : value) list.push_back(normalized_value(item));
    return list;
  }
  if (!is_typed(value) || !value["_data"].is_object()) return value;
  if (!value["_type"].is_string()) refuse("'_type' is " + value["_type"].dump());
  const std::string type = value["_type"];
  Json data = Json::object();
  const auto known = classes.find(type);
  if (known != classes.end()) data = known->second;
  for (const auto& [key, item] : value["_data"].items()) data[key] = normalized_value(item);
  return {{"_type", type}, {"_version", value.value("_version", Json(1))}, {"_data", data}};
}

bool is_granularity(const Json& value, const std::vector<std::string>& types) {
  return is_typed(value) && value["_type"].is_string() &&
         std::find(types.begin(), types.end(), value["_type"].get<std::string>()) != types.end();
}

// What each class's __post_init__ asserts.
void check_fields(const std::string& type, const Json& version, Json& data) {
  const bool int8 =
      type == "Int8WeightOnlyConfig" || type == "Int8DynamicActivationInt8WeightConfig";
  if (int8 && version == 1)
    refuse("version 1 of " + type + " was removed from torchao 0.18; use version 2");
  if (type == "Int8WeightOnlyConfig" && !data["group_size"].is_null())
    refuse("'group_size': version 2 has granularity PerGroup in its place");
  if (data.contains("int4_tile_packed_ntile") && data["int4_tile_packed_ntile"] != 8 &&
      data["int4_tile_packed_ntile"] != 16)
    refuse("'int4_tile_packed_ntile' is " + data["int4_tile_packed_ntile"].dump() +
           ", it must be 8 or 16");
  const bool pair = type == "Float8DynamicActivationFloat8WeightConfig";
  for (const char* key : {"granularity", "weight_granularity"}) {
    if (!data.contains(key)) continue;
    Json& value = data[key];
    if (value.is_null()) value = config_classes().at(type)[key];
    if (pair && value.is_object()) value = Json::array({value, value});
    const std::vector<std::string> allowed =
        type.find("Intx") != std::string::npos ? std::vector<std::string>{"PerAxis", "PerGroup"}
        : pair || type == "Int8DynamicActivationInt8WeightConfig"
            ? std::vector<std::string>{"PerTensor", "PerRow", "PerBlock"}
            : std::vector<std::string>{"PerTensor", "PerRow", "PerGroup"};
    const Json each = value.is_array() ? value : Json::array({value});
    if (value.is_array() && value.size() != 2) refuse("'granularity' must be one or two");
    for (const Json& one : each) {
      if (!is_granularity(one, allowed))
        refuse("'" + std::string(key) + "' is " + one.dump() + ", which " + type + " has not");
    }
  }
}

// Classes of torchao that precis reads over: their configs stay as they are.
bool is_other_class(const std::string& type) {
  static const std::vector<std::string> names{"FqnToConfig",
                                              "ModuleFqnToConfig",
                                              "AOPerModuleConfig",
                                              "Float8DynamicActivationInt4WeightConfig",
                                              "Float8StaticActivationFloat8WeightConfig",
                                              "Int8StaticActivationInt8WeightConfig",
                                              "Int8DynamicActivationInt4WeightConfig",
                                              "Int4DynamicActivationInt4WeightConfig",
                                              "GemliteUIntXWeightOnlyConfig",
                                              "UIntXWeightOnlyConfig",
                                              "FPXWeightOnlyConfig",
                                              "MXDynamicActivationMXWeightConfig",
                                              "NVFP4DynamicActivationNVFP4WeightConfig",
                                              "NVFP4WeightOnlyConfig",
                                              "AWQConfig",
                                              "SmoothQuantConfig"};
  return std::find(names.begin(), names.end(), type) != names.end();
}

// Names of old, and what they stand for.
const std::map<std::string, std::string>& class_of_name() {
  static const char* const int8 = "Int8WeightOnlyConfig";
  static const char* const int8_dynamic = "Int8DynamicActivationInt8WeightConfig";
  static const char* const int4 = "Int4WeightOnlyConfig";
  static const char* const intx_dynamic = "Int8DynamicActivationIntxWeightConfig";
  static const char* const float8 = "Float8WeightOnlyConfig";
  static const char* const float8_dynamic = "Float8DynamicActivationFloat8WeightConfig";
  static const std::map<std::string, std::string> names{
      {"int8wo", int8},
      {"int8_weight_only", int8},
      {"int8dq", int8_dynamic},
      {"int8_dynamic_activation_int8_weight", int8_dynamic},
      {"int4wo", int4},
      {"int4_weight_only", int4},
      {"int4dq", intx_dynamic},
      {"int8_dynamic_activation_int4_weight", intx_dynamic},
      {"intx_weight_only", "IntxWeightOnlyConfig"},
      {"int8_dynamic_activation_intx_weight", intx_dynamic},
      {"float8wo", float8},
      {"float8wo_e4m3", float8},
      {"float8wo_e5m2", float8},
      {"float8_weight_only", float8},
      {"float8dq", float8_dynamic},
      {"float8dq_e4m3", float8_dynamic},
      {"float8dq_e4m3_tensor", float8_dynamic},
      {"float8dq_e4m3_row", float8_dynamic},
      {"float8_dynamic_activation_float8_weight", float8_dynamic}};
  return names;
}

Json granularity_of_text(const std::string& text) {
  if (text == "row") return per_row();
  if (text == "tensor") return dataclass("PerTensor", Json::object());
  if (text == "axis") return dataclass("PerAxis", {{"axis", 0}});
  refuse("'granularity' is '" + text + "', it must be row, tensor or axis");
}

}  // namespace

Json normalized_ao_config(const Json& object) {
  if (!object.is_object())
    throw PluginError(PRECIS_INVALID_TYPE, "'quant_type' holds " + object.dump() +
                                               ", it must be a torchao config object");
  if (!is_typed(object) || !object["_type"].is_string())
    refuse("'quant_type' lacks '_type' or '_data'");
  const std::string type = object["_type"];
  const Json version = object.value("_version", Json(1));
  const auto known = config_classes().find(type);
  if (known == config_classes().end()) {
    if (!is_other_class(type)) refuse("torchao has no config class '" + type + "'");
    return object;
  }
  if (!object["_data"].is_object()) refuse("'_data' of " + type + " is no object");
  Json data = known->second;
  for (const auto& [key, value] : object["_data"].items()) {
    if (!data.contains(key)) refuse(type + " has no field '" + key + "'");
    data[key] = normalized_value(value);
  }
  check_fields(type, version, data);
  return {{"_type", type}, {"_version", version}, {"_data", data}};
}

Json ao_config_of_name(const std::string& name, const Json& arguments) {
  const auto known = class_of_name().find(name);
  const std::string type = known == class_of_name().end() ? name : known->second;
  const auto fields = config_classes().find(type);
  if (fields == config_classes().end())
    refuse("torchao has no quant_type '" + name +
           "'; one of them is int8_weight_only, int4_weight_only, float8_weight_only");
  const std::string granularity =
      fields->second.contains("granularity") ? "granularity" : "weight_granularity";
  Json data = Json::object();
  if (name == "float8wo" || name == "float8wo_e5m2")
    data["weight_dtype"] = dtype_value("float8_e5m2");
  if (name == "float8dq_e4m3_row") data["granularity"] = per_row();
  if (name == "int4dq" || name == "int8_dynamic_activation_int4_weight")
    data["weight_dtype"] = dtype_value("int4");
  for (const auto& [key, value] : arguments.items()) {
    const bool own_group = key == "group_size" && type != "Int4WeightOnlyConfig";
    if (own_group) {
      if (!value.is_null()) data[granularity] = per_group(value);
    } else if (key == "granularity" && value.is_string()) {
      data[granularity] = granularity_of_text(value.get<std::string>());
    } else if ((key == "weight_dtype" || key == "activation_dtype") && value.is_string()) {
      data[key] = dtype_value(value.get<std::string>());
    } else if (key == "packing_format" && fields->second.contains("int4_packing_format")) {
      data["int4_packing_format"] = value;
    } else {
      data[key] = value;
    }
  }
  return normalized_ao_config({{"_type", type}, {"_version", 2}, {"_data", data}});
}

}  // namespace precis::torchao
