#include "plugins/torchao/metadata.h"

#include <cstddef>

#include "plugins/torchao/ao_value.h"

namespace precis::torchao {

using sdk::Json;

namespace {

// As the classes' tensor_data_names list them, optional ones first.
Json part_names(TensorClass tensor) {
  switch (tensor) {
    case TensorClass::int8:
      return {"zero_point", "qdata", "scale"};
    case TensorClass::int4_tiles:
      return {"qdata", "scale_and_zero"};
    case TensorClass::float8:
      return {"qdata", "scale"};
    case TensorClass::int4:
    case TensorClass::intx:
      break;
  }
  return {"qdata", "scale", "zero_point"};
}

std::string object_text(const Scheme& scheme, const precis_param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1];
  const int64_t block = scheme.group_size > 0 ? scheme.group_size : columns;
  Json data = scheme.attributes;
  data["block_size"] = {scheme.group_size < 0 ? rows : 1, block};
  if (scheme.tensor == TensorClass::int4 || scheme.tensor == TensorClass::int4_tiles)
    data["shape"] = {rows, columns};
  else
    data["dtype"] = dtype_value(std::string(sdk::torch_name(param.dtype)));
  return Json{{"_type", class_name(scheme.tensor)},
              {"_data", data},
              {"_tensor_data_names", part_names(scheme.tensor)}}
      .dump();
}

}  // namespace

Json component_metadata(const SchemeOf& scheme_of, const precis_component& component) {
  static const std::string plain = Json{{"_type", "Tensor"}}.dump();
  Json metadata = Json::object(), names = Json::array();
  const auto add = [&](const precis_param& param, const std::string& text) {
    const std::string name(sdk::view(param.name));
    names.push_back(name);
    metadata[name] = text;
  };
  for (uint64_t i = 0; i < component.quantized_count; ++i) {
    const precis_param& param = *component.quantized[i];
    if (param.ndim == 2) add(param, object_text(scheme_of(param), param));
  }
  for (uint64_t i = 0; i < component.kept_count; ++i) add(*component.kept[i], plain);
  const bool knows_others =
      component.struct_size >= offsetof(precis_component, others_count) + sizeof(uint64_t);
  for (uint64_t i = 0; knows_others && i < component.others_count; ++i)
    add(*component.others[i], plain);
  metadata["tensor_names"] = names.dump();
  return metadata;
}

Json object_of(const Json& metadata, const std::string& parameter) {
  const auto found = metadata.is_object() ? metadata.find(parameter) : metadata.end();
  if (found == metadata.end() || !found->is_string()) return nullptr;
  Json object = Json::parse(found->get_ref<const std::string&>(), nullptr, false);
  if (!object.is_object() || !object.contains("_type") || !object["_type"].is_string()) {
    throw sdk::PluginError(PRECIS_DATA_LOSS,
                           "the file's metadata of '" + parameter + "' is damaged");
  }
  return object;
}

std::optional<precis_dtype> dtype_of_name(const Json& name) {
  const std::string text = name.is_object() && name.contains("_data") && name["_data"].is_string()
                               ? name["_data"].get<std::string>()
                               : std::string();
  for (const precis_dtype dtype : {sdk::kFloat32, sdk::kFloat16, sdk::kBFloat16}) {
    if (text == sdk::torch_name(dtype)) return dtype;
  }
  return std::nullopt;
}

}  // namespace precis::torchao
