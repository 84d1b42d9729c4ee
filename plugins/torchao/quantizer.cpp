#include "plugins/torchao/quantizer.h"

#include <algorithm>
#include <cstring>

#include "plugins/torchao/metadata.h"
#include "plugins/torchao/module_config.h"
#include "plugins/torchao/stored.h"
#include "plugins/weight_type.h"

namespace precis::torchao {

using sdk::Json;
using sdk::PluginError;

namespace {

[[noreturn]] void misfit(const precis_param& param, const std::string& rule) {
  throw PluginError(PRECIS_UNSUPPORTED, "its shape [" + std::to_string(param.shape[0]) + ", " +
                                            std::to_string(param.shape[1]) + "] " + rule);
}

// [rows, columns / group_size], or of the granularity's other kinds.
std::vector<int64_t> scale_shape(const Scheme& scheme, const precis_param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1];
  if (scheme.group_size < 0) return {1, 1};
  if (scheme.group_size == 0) return {rows, 1};
  if (columns % scheme.group_size != 0)
    misfit(param, "is not in groups of " + std::to_string(scheme.group_size));
  return {rows, columns / scheme.group_size};
}

std::vector<sdk::PartLayout> int4_layout(const Scheme& scheme, const precis_param& param) {
  const int64_t rows = param.shape[0], columns = param.shape[1], group = scheme.group_size;
  if (columns % group != 0) misfit(param, "is not in groups of " + std::to_string(group));
  if (scheme.tensor == TensorClass::int4) {
    return {{"_weight_qdata", sdk::kInt8, {rows, columns / 2}},
            {"_weight_scale", param.dtype, {columns / group, rows}},
            {"_weight_zero_point", param.dtype, {columns / group, rows}}};
  }
  if (!sdk::same(param.dtype, sdk::kBFloat16))
    throw PluginError(PRECIS_UNSUPPORTED, "tiles hold bfloat16 weights alone");
  const TileShape tiles(rows, columns, static_cast<int64_t>(scheme.tile_rows));
  return {{"_weight_qdata", sdk::kInt32, {tiles.rows / 8, tiles.columns / 128, 32, 4}},
          {"_weight_scale_and_zero", sdk::kBFloat16, {tiles.columns / group, tiles.rows, 2}}};
}

}  // namespace

TorchAoQuantizer::TorchAoQuantizer(Config config)
    : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

void TorchAoQuantizer::storage(const precis_param& param, precis_storage& out) const {
  // An older host has a shorter one.
  precis_param weight{};
  std::memcpy(&weight, &param, std::min<std::size_t>(param.struct_size, sizeof weight));
  if (config_.embeddings && sdk::view(param.module_kind) == "Embedding")
    weight.module_kind = sdk::str("Linear");
  WeightQuantizer::storage(weight, out);
  if (out.keep == 0 && has_modules(config_.ao_config) &&
      config_of_parameter(config_.ao_config, sdk::view(param.name)).is_null()) {
    out.keep = 1;
    out.reason = sdk::str("fqn_to_config has no config for it");
    out.bytes = param.ndim < 0 ? 0 : sdk::elements(param.ndim, param.shape) * param.dtype.bits / 8;
  }
}

Scheme TorchAoQuantizer::scheme(const precis_param& param) const {
  if (!has_modules(config_.ao_config)) return read_scheme(config_.ao_config);
  const Json own = config_of_parameter(config_.ao_config, sdk::view(param.name));
  if (own.is_null()) throw PluginError(PRECIS_UNSUPPORTED, "fqn_to_config has no config for it");
  return read_scheme(own);
}

std::vector<sdk::PartLayout> TorchAoQuantizer::layout(const precis_param& param) const {
  if (param.ndim != 2) throw PluginError(PRECIS_UNSUPPORTED, "torchao stores matrices here");
  const Scheme scheme = this->scheme(param);
  const int64_t rows = param.shape[0], columns = param.shape[1];
  if (rows <= 0 || columns <= 0) misfit(param, "is empty");
  if (scheme.tensor == TensorClass::int4 || scheme.tensor == TensorClass::int4_tiles)
    return int4_layout(scheme, param);
  const std::vector<int64_t> scales = scale_shape(scheme, param);
  if (scheme.tensor == TensorClass::float8) {
    if (scheme.float8_products && (rows % 16 != 0 || columns % 16 != 0))
      misfit(param, "is not in multiples of 16");
    if (scheme.float8_products && scheme.group_size == 0 && !sdk::same(param.dtype, sdk::kBFloat16))
      throw PluginError(PRECIS_UNSUPPORTED, "float8 products with a scale a row take bfloat16");
    const precis_dtype codes =
        scheme.float8 == kernels::AoCodes::float8_e5m2 ? sdk::kFloat8E5M2 : sdk::kFloat8E4M3FN;
    return {{"_weight_qdata", codes, {rows, columns}}, {"_weight_scale", sdk::kFloat32, scales}};
  }
  const precis_dtype scale = scheme.tensor == TensorClass::int8 ? sdk::kFloat32 : param.dtype;
  return {{"_weight_qdata", sdk::kInt8, {rows, columns}},
          {"_weight_scale", scale, scales},
          {"_weight_zero_point", sdk::kInt8, scales}};
}

void TorchAoQuantizer::check_writable(const precis_param& param) const {
  plugins::weight_type(param.dtype);
}

std::string TorchAoQuantizer::metadata(const precis_component& component) const {
  if (component.quantized_count == 0) return "{}";
  return component_metadata([&](const precis_param& param) { return scheme(param); }, component)
      .dump();
}

void TorchAoQuantizer::quantized_params(const precis_state_dict& state_dict,
                                        const sdk::EmitParam& emit) const {
  const std::string suffix = "_weight_qdata";
  for (uint64_t i = 0; i < state_dict.count; ++i) {
    const std::string_view name = sdk::view(state_dict.info(&state_dict, i)->name);
    if (sdk::leaf(name) != suffix) continue;
    const sdk::StoredModule module(state_dict, std::string(sdk::module_of(name)));
    const Json metadata = Json::parse(sdk::view(state_dict.metadata_json), nullptr, false);
    const StoredObject object = stored_object(module, metadata);
    const std::string weight = module.key("weight");
    precis_param param{};
    param.struct_size = sizeof param;
    param.name = sdk::str(weight);
    param.module_kind = sdk::str("Linear");
    param.dtype = object.weight.dtype;
    param.ndim = static_cast<int32_t>(object.weight.shape.size());
    param.shape = object.weight.shape.data();
    emit(param, object.parts);
  }
}

sdk::StoredWeight TorchAoQuantizer::describe(const sdk::StoredModule& module) const {
  return stored_object(module, nullptr).weight;
}

void TorchAoQuantizer::check(const precis_param&,
                             const std::vector<const precis_tensor_info*>& parts) const {
  if (parts.size() < 2) throw PluginError(PRECIS_DATA_LOSS, "'_weight_scale' is missing");
}

void TorchAoQuantizer::dequantize(const precis_call& call, const precis_param& param,
                                  const sdk::ConstParts& parts, int64_t row_begin,
                                  precis_tensor& weight) const {
  decode(call, param, parts, sdk::rows_of(param, row_begin, weight), weight);
}

void TorchAoQuantizer::decode(const precis_call&, const precis_param& param,
                              const sdk::ConstParts& parts, sdk::RowRange rows,
                              const precis_tensor& out) const {
  kernels::ao_decoders(kernels::current_isa())
      .dequantize(stored_weight(param, parts), rows.begin, rows.end,
                  plugins::weight_type(out.view.dtype), sdk::data<void>(out));
}

}  // namespace precis::torchao
