#include <precis/module_match.hpp>

#include "plugins/quanto/format.h"
#include "plugins/quanto/quantizer.h"
#include "plugins/weight_type.h"

namespace precis::quanto {

using sdk::PluginError;

bool QuantoQuantizer::skipped(std::string_view module) const {
  if (config_.library == "diffusers") return sdk::kept_by_leaf(module, config_.skip_modules);
  if (config_.library_version.substr(0, 2) == "4.")
    return sdk::kept_by_substring(module, config_.skip_modules);
  return sdk::kept_by_pattern(module, config_.skip_modules);
}

namespace {

// Codes, scales and shifts of a weight that is quantized.
uint64_t stored_bytes(const precis_param& param, int bits) {
  const sdk::Matrix matrix = sdk::matrix(param);
  const uint64_t scale_bytes = param.dtype.bits / 8u;
  if (bits == 8) return matrix.elements() + matrix.rows * scale_bytes;
  const Groups groups(matrix, bits);
  return groups.packed_rows * groups.size + 2 * groups.scale_count() * scale_bytes;
}

}  // namespace

void QuantoQuantizer::storage(const precis_param& param, precis_storage& out) const {
  const std::string_view kind = sdk::view(param.module_kind), name = sdk::view(param.name);
  out.keep = 0;
  out.reason = sdk::str("");
  if (sdk::leaf(name) != "weight" || (!kind.empty() && kind != "Linear") ||
      (param.ndim >= 0 && param.ndim != 2)) {
    out.keep = 1;
    out.reason = sdk::str("quanto's configs cover Linear layers only");
  } else if (skipped(sdk::module_of(name))) {
    out.keep = 1;
    out.reason = sdk::str("listed in modules_to_not_convert");
  }
  if (param.ndim < 0)
    out.bytes = 0;
  else
    out.bytes = out.keep != 0 ? sdk::elements(param.ndim, param.shape) * param.dtype.bits / 8
                              : stored_bytes(param, config_.bits());
}

namespace {

// Metadata of the file: module to out_features. Grouped weights are stored in an order that does
// not tell their shape, which quanto takes from the model's own class.
constexpr const char* kRowsKey = "quanto.out_features";

sdk::Json rows_by_module(const precis_state_dict& state_dict) {
  const sdk::Json metadata = sdk::Json::parse(sdk::view(state_dict.metadata_json), nullptr, false);
  if (!metadata.is_object() || !metadata.contains(kRowsKey) || !metadata[kRowsKey].is_string())
    return sdk::Json::object();
  const sdk::Json rows =
      sdk::Json::parse(metadata[kRowsKey].get_ref<const std::string&>(), nullptr, false);
  return rows.is_object() ? rows : sdk::Json::object();
}

// out_features of a module: its bias tells it, else the metadata; 0: unknown.
int64_t rows_of(const precis_state_dict& state_dict, const std::string& module,
                const sdk::Json& rows) {
  const std::string bias_key = module + ".bias";
  const int64_t bias = state_dict.find(&state_dict, sdk::str(bias_key));
  if (bias >= 0) {
    const precis_tensor_info* info = state_dict.info(&state_dict, static_cast<uint64_t>(bias));
    return info->ndim == 1 ? info->shape[0] : 0;
  }
  const auto found = rows.find(module);
  return found != rows.end() && found->is_number_unsigned() ? found->get<int64_t>() : 0;
}

}  // namespace

void QuantoQuantizer::quantized_params(const precis_state_dict& state_dict,
                                       const sdk::EmitParam& emit) const {
  const bool grouped = config_.bits() != 8;
  const sdk::Json rows = grouped ? rows_by_module(state_dict) : sdk::Json::object();
  const std::string suffix = grouped ? ".weight._data._data" : ".weight._data";
  for (uint64_t i = 0; i < state_dict.count; ++i) {
    const std::string_view name = sdk::view(state_dict.info(&state_dict, i)->name);
    if (name.size() <= suffix.size() || name.substr(name.size() - suffix.size()) != suffix)
      continue;
    const std::string module(name.substr(0, name.size() - suffix.size()));
    std::vector<uint64_t> parts{i};
    const auto add = [&](const std::string& key, bool required) {
      const int64_t index = state_dict.find(&state_dict, sdk::str(key));
      if (index >= 0)
        parts.push_back(static_cast<uint64_t>(index));
      else if (required)
        throw PluginError(PRECIS_DATA_LOSS,
                          "'" + key + "' is missing beside '" + std::string(name) + "'");
    };
    add(module + ".weight._scale", true);
    if (grouped) add(module + ".weight._shift", true);
    add(module + ".input_scale", false);
    add(module + ".output_scale", false);
    const precis_tensor_info* data = state_dict.info(&state_dict, i);
    const precis_tensor_info* scale = state_dict.info(&state_dict, parts[1]);
    if (data->ndim < 2) {
      throw PluginError(PRECIS_DATA_LOSS, "'" + std::string(name) + "' has " +
                                              std::to_string(data->ndim) +
                                              " dimensions, it must have at least 2");
    }
    precis_param param{};
    param.struct_size = sizeof param;
    const std::string weight = module + ".weight";
    param.name = sdk::str(weight);
    param.module_kind = sdk::str("Linear");
    param.dtype = scale->dtype;
    int64_t shape[2] = {0, 0};
    param.ndim = data->ndim;
    param.shape = data->shape;
    if (grouped) {
      // Packed planes tell the number of elements alone.
      const int64_t elements =
          sdk::elements(scale->ndim, scale->shape) * static_cast<uint64_t>(data->shape[1]);
      if (elements <= 0)
        throw PluginError(PRECIS_DATA_LOSS, "'" + module + ".weight' has no elements");
      shape[0] = rows_of(state_dict, module, rows);
      shape[1] = shape[0] > 0 ? elements / shape[0] : 0;
      param.ndim = shape[0] > 0 && shape[0] * shape[1] == elements ? 2 : -1;
      param.shape = shape;
    }
    emit(param, parts);
  }
}

void QuantoQuantizer::check(const precis_param& param,
                            const std::vector<const precis_tensor_info*>& parts) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  if (parts.size() < (config_.bits() == 8 ? 2u : 3u))
    throw PluginError(PRECIS_DATA_LOSS, "a quanto weight has _data and _scale");
  const uint64_t expected = config_.bits() == 8
                                ? matrix.elements()
                                : matrix.elements() * static_cast<uint64_t>(config_.bits()) / 8;
  if (parts[0]->nbytes < expected) {
    throw PluginError(PRECIS_DATA_LOSS, "_data has " + std::to_string(parts[0]->nbytes) +
                                            " bytes, the shape needs " + std::to_string(expected));
  }
}

std::string QuantoQuantizer::config(const precis_component& component) const {
  sdk::Json object = config_.normalized;
  if (config_.weights == "float8_e5m2" && config_.library == "diffusers") {
    throw PluginError(PRECIS_UNSUPPORTED,
                      "diffusers' quanto config knows float8 (e4m3fn) only; use qfloat8");
  }
  // diffusers' rule knows leaf names alone: a leaf that is quantized elsewhere cannot be listed.
  std::vector<std::string> skip = config_.skip_modules;
  for (uint64_t i = 0; i < component.kept_count; ++i) {
    const std::string_view module = sdk::module_of(sdk::view(component.kept[i]->name));
    if (skipped(module)) continue;
    const std::string entry(config_.library == "diffusers" ? sdk::leaf(module) : module);
    if (!sdk::contains(skip, entry)) skip.push_back(entry);
  }
  if (config_.library == "diffusers") {
    for (uint64_t i = 0; i < component.quantized_count; ++i) {
      const std::string_view module = sdk::module_of(sdk::view(component.quantized[i]->name));
      if (!sdk::contains(skip, sdk::leaf(module))) continue;
      throw PluginError(PRECIS_UNSUPPORTED,
                        "diffusers' quanto config lists last name segments, and '" +
                            std::string(sdk::leaf(module)) +
                            "' is kept in one module and quantized in '" + std::string(module) +
                            "'; keep or quantize both (--rule, --skip, --no-default-skips)");
    }
  }
  if (!skip.empty()) object["modules_to_not_convert"] = skip;
  return object.dump();
}

std::string QuantoQuantizer::metadata(const precis_component& component) const {
  if (config_.bits() == 8) return "{}";
  sdk::Json rows = sdk::Json::object();
  for (uint64_t i = 0; i < component.quantized_count; ++i) {
    const precis_param& param = *component.quantized[i];
    rows[std::string(sdk::module_of(sdk::view(param.name)))] = param.shape[0];
  }
  return sdk::Json{{kRowsKey, rows.dump()}}.dump();
}

std::string QuantoQuantizer::sidecar_files(const precis_component& component) const {
  // optimum-quanto's own loaders read the qtype of each module from this map.
  sdk::Json map = sdk::Json::object();
  const std::string qtype = config_.weights == "float8" ? "qfloat8_e4m3fn" : "q" + config_.weights;
  for (uint64_t i = 0; i < component.quantized_count; ++i) {
    map[std::string(sdk::module_of(sdk::view(component.quantized[i]->name)))] = {
        {"weights", qtype}, {"activations", "none"}};
  }
  return sdk::Json{{"quanto_qmap.json", map}}.dump();
}

}  // namespace precis::quanto
