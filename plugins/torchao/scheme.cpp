#include "plugins/torchao/scheme.h"

#include "plugins/torchao/ao_value.h"

namespace precis::torchao {

using sdk::Json;
using sdk::PluginError;

namespace {

[[noreturn]] void unsupported(const std::string& text) {
  throw PluginError(PRECIS_UNSUPPORTED, text);
}

// -1: PerTensor, 0: PerRow or PerAxis, else PerGroup.
int64_t group_size_of(const Json& granularity) {
  const std::string type = granularity.at("_type");
  if (type == "PerTensor") return -1;
  if (type == "PerRow" && granularity["_data"].value("dim", -1) != -1)
    unsupported("a granularity of PerRow(" + granularity["_data"]["dim"].dump() +
                "): precis knows rows of the last dimension");
  if (type == "PerRow" || type == "PerAxis") return 0;
  if (type != "PerGroup") unsupported("a granularity of " + type);
  const Json size = granularity["_data"].value("group_size", Json());
  if (!size.is_number_integer() || size < 1 || size > (1 << 20))
    unsupported("'group_size' is " + size.dump() + ", it must be positive");
  return size.get<int64_t>();
}

// A granularity for both sides, or one for each: that of the weight.
const Json& weight_granularity(const Json& granularity) {
  return granularity.is_array() ? granularity.at(1) : granularity;
}
const Json& activation_granularity(const Json& granularity) {
  return granularity.is_array() ? granularity.at(0) : granularity;
}

// Nested objects of a tensor's attributes have no "_version".
Json without_versions(const Json& value) {
  if (!value.is_object()) return value;
  Json plain = Json::object();
  for (const auto& [key, item] : value.items()) {
    if (key != "_version") plain[key] = without_versions(item);
  }
  return plain;
}

void read_rounded_integers(const Json& granularity, const std::string& mapping, bool reduced,
                           Scheme& scheme) {
  kernels::ActivationRounding rounding{kernels::ActivationRule::torchao_integer};
  rounding.symmetric = mapping == "SYMMETRIC";
  if (reduced) {
    rounding.low = -64;
    rounding.high = 63;
    rounding.divisor = 63.5f;
  }
  scheme.whole_activations = group_size_of(activation_granularity(granularity)) < 0;
  scheme.activations = rounding;
}

void read_int8(const Json& data, bool dynamic, Scheme& scheme) {
  const Json& granularity = data.at("granularity");
  const Json reduce = data.value("reduce_range", Json(false));
  const bool reduced = sdk::truthy(reduce);
  scheme.tensor = TensorClass::int8;
  scheme.group_size = group_size_of(weight_granularity(granularity));
  if (reduced) scheme.range = {-64, 63};
  Json activation;
  if (dynamic) {
    activation = {{"_type", "QuantizeTensorToInt8Kwargs"},
                  {"_data",
                   {{"granularity", without_versions(activation_granularity(granularity))},
                    {"mapping_type", data.at("act_mapping_type")},
                    {"reduce_range", reduced}}}};
    read_rounded_integers(granularity, enum_value(data.at("act_mapping_type")), reduced, scheme);
  }
  scheme.attributes = {{"act_quant_kwargs", activation}, {"reduce_range", reduced}};
}

void read_int4(const Json& data, Scheme& scheme) {
  const std::string format = enum_value(data.at("int4_packing_format"));
  const std::string algorithm = enum_value(data.at("int4_choose_qparams_algorithm"));
  if (algorithm != "TINYGEMM")
    unsupported("int4_choose_qparams_algorithm " + algorithm +
                ": precis fits int4 by minimum and maximum (TINYGEMM)");
  const Json& size = data.at("group_size");
  if (!size.is_number_integer() || size < 2 || size > (1 << 20) || size.get<int64_t>() % 2 != 0)
    unsupported("'group_size' is " + size.dump() + ", it must be even and positive");
  scheme.group_size = size.get<int64_t>();
  if (format == "PLAIN") {
    scheme.tensor = TensorClass::int4;
    scheme.attributes = {{"activation_dtype", dtype_value("bfloat16")}};
  } else if (format == "TILE_PACKED_TO_4D") {
    if (1024 % scheme.group_size != 0) unsupported("tiles need a group_size that divides 1024");
    scheme.tensor = TensorClass::int4_tiles;
    scheme.tile_rows = data.at("int4_tile_packed_ntile").get<uint64_t>();
    scheme.attributes = Json::object();
  } else {
    unsupported("int4_packing_format " + format +
                " is a device's own layout; precis writes PLAIN and TILE_PACKED_TO_4D");
  }
}

void read_intx(const Json& data, bool dynamic, Scheme& scheme) {
  const std::string prefix = dynamic ? "weight_" : "";
  const std::string dtype = enum_value(data.at("weight_dtype"));
  const int bits = dtype.size() == 4 && dtype.compare(0, 3, "int") == 0 ? dtype[3] - '0' : 0;
  if (bits < 1 || bits > 8) unsupported("weight_dtype " + dtype + " is none of int1 to int8");
  const std::string format = enum_value(data.at("intx_packing_format"));
  if (format != "UNPACKED_TO_INT8")
    unsupported("intx_packing_format " + format + ": precis writes UNPACKED_TO_INT8");
  if (enum_value(data.at("intx_choose_qparams_algorithm")) != "AFFINE")
    unsupported("intx_choose_qparams_algorithm: precis fits intx by minimum and maximum (AFFINE)");
  if (!data.at(prefix + "scale_dtype").is_null())
    unsupported("'" + prefix + "scale_dtype': precis stores scales in the weight's dtype");
  const std::string mapping = enum_value(data.at(prefix + "mapping_type"));
  scheme.tensor = TensorClass::intx;
  scheme.group_size = group_size_of(data.at(prefix + "granularity"));
  scheme.range = {-(1 << (bits - 1)), (1 << (bits - 1)) - 1};
  scheme.mapping = mapping == "ASYMMETRIC"  ? kernels::AoMapping::asymmetric
                   : mapping == "SYMMETRIC" ? kernels::AoMapping::symmetric
                                            : kernels::AoMapping::symmetric_no_clipping_error;
  if (bits == 1 && scheme.mapping == kernels::AoMapping::symmetric_no_clipping_error)
    unsupported("SYMMETRIC_NO_CLIPPING_ERR divides by the largest code, which int1 has at 0");
  if (dynamic && enum_value(data.at("act_mapping_type")) != "ASYMMETRIC")
    unsupported("act_mapping_type: UNPACKED_TO_INT8 has asymmetric activations");
  if (dynamic) {
    kernels::ActivationRounding rounding{kernels::ActivationRule::torchao_fake_integer};
    rounding.symmetric = false;
    scheme.activations = rounding;
  }
  scheme.attributes = {{"target_dtype", dtype_value(dtype)},
                       {"activation_quantization", dynamic ? Json("int8_asym_per_token") : Json()}};
}

void read_rounded_floats(const Json& data, Scheme& scheme) {
  const Json& granularity = activation_granularity(data.at("granularity"));
  kernels::ActivationRounding rounding{kernels::ActivationRule::float8};
  const Json &low = data.at("activation_value_lb"), &high = data.at("activation_value_ub");
  if (high.is_number()) rounding.largest = high.get<float>();
  if (low.is_number()) rounding.smallest_scale = low.get<float>() / 448.0f;
  scheme.whole_activations = group_size_of(granularity) < 0;
  // Another float8 than e4m3fn has no rule here.
  if (enum_value(data.at("activation_dtype")) == "float8_e4m3fn") scheme.activations = rounding;
}

void read_float8(const Json& data, bool dynamic, Scheme& scheme) {
  const std::string dtype = enum_value(data.at("weight_dtype"));
  if (dtype != "float8_e4m3fn" && dtype != "float8_e5m2")
    unsupported("weight_dtype " + dtype + " is neither float8_e4m3fn nor float8_e5m2");
  const Json& granularity = data.at("granularity");
  scheme.tensor = TensorClass::float8;
  scheme.float8 =
      dtype == "float8_e5m2" ? kernels::AoCodes::float8_e5m2 : kernels::AoCodes::float8_e4m3fn;
  scheme.group_size = group_size_of(weight_granularity(granularity));
  scheme.attributes = {{"mm_config", nullptr},
                       {"act_quant_kwargs", nullptr},
                       {"kernel_preference", enum_object("KernelPreference", "AUTO")}};
  if (!dynamic) return;
  if (enum_value(data.at("packing_format")) != "PLAIN")
    unsupported("packing_format: precis writes PLAIN float8");
  scheme.float8_products = true;
  read_rounded_floats(data, scheme);
  const Json& preference = data.at("kernel_preference");
  scheme.attributes = {{"mm_config", without_versions(data.at("mm_config"))},
                       {"kernel_preference", preference},
                       {"act_quant_kwargs",
                        {{"_type", "QuantizeTensorToFloat8Kwargs"},
                         {"_data",
                          {{"float8_dtype", data.at("activation_dtype")},
                           {"granularity", without_versions(activation_granularity(granularity))},
                           {"mm_config", nullptr},
                           {"hp_value_lb", data.at("activation_value_lb")},
                           {"hp_value_ub", data.at("activation_value_ub")},
                           {"kernel_preference", preference}}}}}};
}

}  // namespace

std::string class_name(TensorClass tensor) {
  switch (tensor) {
    case TensorClass::int8:
      return "Int8Tensor";
    case TensorClass::int4:
      return "Int4Tensor";
    case TensorClass::int4_tiles:
      return "Int4TilePackedTo4dTensor";
    case TensorClass::intx:
      return "IntxUnpackedToInt8Tensor";
    case TensorClass::float8:
      break;
  }
  return "Float8Tensor";
}

Scheme read_scheme(const Json& ao_config) {
  const std::string type = ao_config.value("_type", std::string());
  const Json version = ao_config.value("_version", Json(2));
  if (version != 2)
    unsupported(type + " of version " + version.dump() + ": torchao 0.18 makes version 2 alone");
  const Json& data = ao_config.at("_data");
  Scheme scheme;
  if (type == "Int8WeightOnlyConfig") {
    read_int8(data, false, scheme);
  } else if (type == "Int8DynamicActivationInt8WeightConfig") {
    read_int8(data, true, scheme);
  } else if (type == "Int4WeightOnlyConfig") {
    read_int4(data, scheme);
  } else if (type == "IntxWeightOnlyConfig") {
    read_intx(data, false, scheme);
  } else if (type == "Int8DynamicActivationIntxWeightConfig") {
    read_intx(data, true, scheme);
  } else if (type == "Float8WeightOnlyConfig") {
    read_float8(data, false, scheme);
  } else if (type == "Float8DynamicActivationFloat8WeightConfig") {
    read_float8(data, true, scheme);
  } else {
    unsupported("precis does not write " + type);
  }
  return scheme;
}

}  // namespace precis::torchao
