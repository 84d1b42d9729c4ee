#include "plugins/compressed_tensors/quantizer.h"

#include <algorithm>

#include "plugins/compressed_tensors/bitmask.h"
#include "plugins/compressed_tensors/module_match.h"

namespace precis::compressed_tensors {

using sdk::PluginError;

namespace {

constexpr const char* kFormatVersion = "0.20.0";  // whose stored forms are written
constexpr int64_t kLargestSide = int64_t{1} << 31;

// Scales that are numbers of their own tell the dtype of the weight.
precis_dtype weight_dtype(const precis_tensor_info& scale) {
  return sdk::is_weight_dtype(scale.dtype) ? scale.dtype : sdk::kBFloat16;
}

kernels::ScaleRule scale_rule(Storage storage) {
  switch (storage) {
    case Storage::nvfp4:
      return kernels::ScaleRule::two_levels;
    case Storage::mxfp4:
    case Storage::mxfp6:
    case Storage::mxfp8:
      return kernels::ScaleRule::exponent;
    default:
      return kernels::ScaleRule::own;
  }
}

// [out_features, in_features] of a tensor that holds them.
std::vector<int64_t> stored_sides(const sdk::StoredModule& module, std::string_view part) {
  std::vector<int64_t> sides = module.integers(part);
  const auto absurd = [](int64_t side) { return side < 0 || side > kLargestSide; };
  if (sides.size() != 2 || std::any_of(sides.begin(), sides.end(), absurd))
    throw PluginError(PRECIS_DATA_LOSS,
                      "'" + module.key(part) + "' must be [out_features, in_features]");
  return sides;
}

const precis_tensor& part_at(const sdk::ConstParts& parts, int place) {
  return *parts.at(static_cast<std::size_t>(place));
}

// Weights are multiplied in the dtype of the scales, those of Microscaling in bfloat16.
kernels::WeightType rounding_of(kernels::ScaleType scale) {
  switch (scale) {
    case kernels::ScaleType::f32:
      return kernels::WeightType::f32;
    case kernels::ScaleType::f16:
      return kernels::WeightType::f16;
    default:
      return kernels::WeightType::bf16;
  }
}

bool has_scales_of_keys(const precis_component& component) {
  return std::any_of(
      component.others, component.others + component.others_count,
      [](const precis_param* param) { return sdk::leaf(sdk::view(param->name)) == "k_scale"; });
}

}  // namespace

CompressedTensorsQuantizer::CompressedTensorsQuantizer(Config config)
    : ScaledQuantizer(config.normalized, config.skip), config_(std::move(config)) {
  if (config_.has_transforms)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'transform_config': the weights are rotated and mean nothing without the "
                      "same rotation of the activations, which precis does not apply; use a "
                      "checkpoint without transforms");
}

const QuantizationScheme* CompressedTensorsQuantizer::weight_scheme(std::string_view module) const {
  const QuantizationScheme* scheme = scheme_of(module, config_.groups);
  return scheme == nullptr || !scheme->weights ? nullptr : scheme;
}

const QuantizationScheme& CompressedTensorsQuantizer::scheme(const precis_param& param) const {
  const std::string_view module = sdk::module_of(sdk::view(param.name));
  const QuantizationScheme* found = weight_scheme(module);
  if (found != nullptr) return *found;
  throw PluginError(PRECIS_UNSUPPORTED, "no group of 'config_groups' quantizes the weight of '" +
                                            std::string(module) + "'");
}

void CompressedTensorsQuantizer::storage(const precis_param& param, precis_storage& out) const {
  const std::string_view module = sdk::module_of(sdk::view(param.name));
  if (weight_scheme(module) != nullptr) return ScaledQuantizer::storage(param, out);
  out.keep = 1;
  out.reason = sdk::str("no group of the config quantizes it");
  out.bytes = param.ndim < 0 ? 0 : sdk::elements(param.ndim, param.shape) * param.dtype.bits / 8;
}

bool CompressedTensorsQuantizer::is_sparse(std::string_view module) const {
  if (config_.sparsity_format.empty() || matches_any(module, config_.sparsity_ignore)) return false;
  return config_.sparsity_targets.empty() || matches_any(module, config_.sparsity_targets);
}

std::vector<sdk::PartLayout> CompressedTensorsQuantizer::layout(const precis_param& param) const {
  if (param.ndim != 2)
    throw PluginError(PRECIS_UNSUPPORTED, "only matrices [out_features, in_features] are stored");
  const std::vector<int64_t> shape{param.shape[0], param.shape[1]};
  const std::string_view module = sdk::module_of(sdk::view(param.name));
  if (is_sparse(module)) return bitmask_layout(config_, weight_scheme(module), param.dtype, shape);
  return stored_parts(config_, scheme(param), param.dtype, shape);
}

void CompressedTensorsQuantizer::check_writable(const precis_param& param) const {
  plugins::weight_type(param.dtype);
  check_scheme_writable(config_, scheme(param));
}

bool CompressedTensorsQuantizer::is_quantized(const sdk::StoredModule& module) const {
  if (is_sparse(module.name())) return module.find("bitmask") != nullptr;
  const QuantizationScheme* found = weight_scheme(module.name());
  if (found == nullptr || module.find("weight_scale") == nullptr) return false;
  const precis_tensor_info* weight = module.find("weight");
  // A model that is not compressed keeps its floats, and the scales beside them.
  return weight == nullptr || !sdk::is_weight_dtype(weight->dtype);
}

sdk::StoredWeight CompressedTensorsQuantizer::describe(const sdk::StoredModule& module) const {
  const QuantizationScheme* scheme = weight_scheme(module.name());
  if (is_sparse(module.name())) {
    const char* numbers = scheme == nullptr ? "compressed" : "weight_scale";
    return {weight_dtype(module.at(numbers)), stored_sides(module, "shape")};
  }
  const precis_dtype dtype = weight_dtype(module.at("weight_scale"));
  const Storage storage = storage_of(format_of(config_, *scheme));
  if (storage == Storage::packed) return {dtype, stored_sides(module, "weight_shape")};
  const bool whole = storage == Storage::bytes || storage == Storage::mxfp8;
  const precis_tensor_info& codes = module.at(whole ? "weight" : "weight_packed", 2);
  int64_t columns = codes.shape[1];
  if (storage == Storage::nvfp4 || storage == Storage::mxfp4) columns *= 2;
  if (storage == Storage::mxfp6) columns = columns / 3 * 4;
  return {dtype, {codes.shape[0], columns}};
}

std::optional<plugins::ScaledEncodingPlan> CompressedTensorsQuantizer::encoding(
    const precis_param& param, const sdk::Parts& parts) const {
  const QuantizationScheme& scheme = this->scheme(param);
  const StoredShape shape = stored_shape(config_, scheme, sdk::matrix(param));
  const PartPlaces places = part_places(config_, scheme);
  plugins::ScaledEncodingPlan plan{{shape.rows, shape.tiles}};
  plan.encoding.scale_rule = scale_rule(storage_of(format_of(config_, scheme)));
  plan.encoding.symmetric = scheme.weights->symmetric;
  plan.encoding.bits = static_cast<int>(scheme.weights->bits);
  if (places.zeros >= 0) {
    const auto& zeros = *parts.at(static_cast<std::size_t>(places.zeros));
    plan.encoding.zero_type = sdk::same(zeros.view.dtype, sdk::kInt8) ? kernels::ZeroType::int8
                                                                      : kernels::ZeroType::packed;
  }
  plan.one_tile = scheme.weights->strategy == Strategy::tensor;
  plan.codes = places.codes;
  plan.scales = places.scales;
  plan.zeros = places.zeros;
  plan.whole_scale = places.global_scale;
  if (places.shape >= 0)
    plan.constants.emplace_back(
        places.shape, std::string(reinterpret_cast<const char*>(param.shape), 2 * sizeof(int64_t)));
  return plan;
}

kernels::ScaledWeight CompressedTensorsQuantizer::stored(const precis_param& param,
                                                         const sdk::ConstParts& parts) const {
  const QuantizationScheme& scheme = this->scheme(param);
  const sdk::Matrix matrix = sdk::matrix(param);
  const StoredShape shape = stored_shape(config_, scheme, matrix);
  const PartPlaces places = part_places(config_, scheme);
  const precis_tensor& scales = part_at(parts, places.scales);
  kernels::ScaledWeight weight{};
  weight.rows = shape.rows;
  weight.tiles = shape.tiles;
  weight.codes = sdk::data<const void>(part_at(parts, places.codes));
  weight.scale_type = plugins::scale_type(scales.view.dtype);
  weight.scales = sdk::data<const void>(scales);
  weight.rounding = rounding_of(weight.scale_type);
  if (places.global_scale >= 0)
    weight.divisor = plugins::single_number(part_at(parts, places.global_scale));
  if (places.zeros >= 0) {
    const precis_tensor& zeros = part_at(parts, places.zeros);
    const bool packed = sdk::same(zeros.view.dtype, sdk::kInt32);
    const auto tile_rows = shape.tile_rows;
    const uint64_t bits = static_cast<uint64_t>(shape.rows.bits), each = 32 / bits;
    const uint64_t words =
        shape.rows.padded ? (tile_rows + each - 1) / each : (tile_rows * bits + 31) / 32;
    plugins::require_bytes(zeros, (packed ? words * 4 : tile_rows) * shape.tiles.per_row);
    weight.zero_type = packed ? kernels::ZeroType::packed : kernels::ZeroType::int8;
    weight.zeros = sdk::data<const void>(zeros);
  }
  if (places.group_of >= 0)
    weight.tile_of = plugins::checked_tiles(part_at(parts, places.group_of), matrix.columns,
                                            shape.tiles.per_row);
  return weight;
}

// By token and by group; formats with narrow scales, whose activations take a second scale of the
// whole tensor, keep them as they are.
bool CompressedTensorsQuantizer::reads(const precis_param& param, std::size_t part) const {
  const PartPlaces places = part_places(config_, scheme(param));
  return static_cast<int>(part) == places.global_scale || static_cast<int>(part) == places.group_of;
}

std::optional<kernels::NarrowRows> CompressedTensorsQuantizer::scattered(
    const precis_param& param) const {
  const QuantizationScheme& scheme = this->scheme(param);
  if (!scheme.weights->reordered_groups) return std::nullopt;
  return stored_shape(config_, scheme, sdk::matrix(param)).rows;
}

std::optional<plugins::ByteCodes> CompressedTensorsQuantizer::byte_codes(
    const precis_param& param) const {
  const QuantizationScheme& scheme = this->scheme(param);
  const QuantizationArgs& weights = *scheme.weights;
  const StoredShape shape = stored_shape(config_, scheme, sdk::matrix(param));
  const bool a_byte_each = shape.rows.type == kernels::NarrowType::int8 ||
                           shape.rows.type == kernels::NarrowType::float8_e4m3fn;
  if (!a_byte_each || !weights.symmetric || weights.reordered_groups ||
      !weights.scale_dtype.empty())
    return std::nullopt;
  return plugins::ByteCodes{shape.rows.type, shape.tiles};
}

void CompressedTensorsQuantizer::check_numbers(const precis_param& param) const {
  if (is_sparse(sdk::module_of(sdk::view(param.name))))
    throw PluginError(PRECIS_UNSUPPORTED, "weights behind a mask have no product of their own");
}

std::optional<kernels::ActivationRounding> CompressedTensorsQuantizer::activations(
    const precis_param& param) const {
  const QuantizationScheme& scheme = this->scheme(param);
  const auto& inputs = scheme.input_activations;
  if (!inputs || inputs->dynamic != Dynamic::yes || !inputs->scale_dtype.empty())
    return std::nullopt;
  if (inputs->strategy == Strategy::tensor)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "activations with one scale for all rows depend on the whole batch");
  kernels::ActivationRounding rounding{kernels::ActivationRule::compressed_integer};
  if (inputs->strategy == Strategy::group)
    rounding.group = static_cast<uint64_t>(inputs->group_size);
  else if (inputs->strategy != Strategy::token)
    return std::nullopt;
  if (inputs->floating) {
    if (inputs->bits != 8) return std::nullopt;
    rounding.rule = kernels::ActivationRule::compressed_float8;
    return rounding;
  }
  rounding.low = -(1 << (inputs->bits - 1));
  rounding.high = (1 << (inputs->bits - 1)) - 1;
  rounding.divisor = static_cast<float>(rounding.high - rounding.low) / 2;
  rounding.symmetric = inputs->symmetric;
  return rounding;
}

void CompressedTensorsQuantizer::plan_linear(const precis_linear_options& options,
                                             const precis_param& param,
                                             sdk::PlanWriter& plan) const {
  check_numbers(param);
  ScaledQuantizer::plan_linear(options, param, plan);
}

void CompressedTensorsQuantizer::decode(const precis_call& call, const precis_param& param,
                                        const sdk::ConstParts& parts, sdk::RowRange rows,
                                        const precis_tensor& out) const {
  if (is_sparse(sdk::module_of(sdk::view(param.name))))
    return decode_sparse(param, parts, rows, out);
  ScaledQuantizer::decode(call, param, parts, rows, out);
}

void CompressedTensorsQuantizer::decode_sparse(const precis_param& param,
                                               const sdk::ConstParts& parts, sdk::RowRange rows,
                                               const precis_tensor& out) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const QuantizationScheme* scheme = weight_scheme(sdk::module_of(sdk::view(param.name)));
  const precis_dtype number = parts.at(0)->view.dtype;
  const auto out_type = plugins::weight_type(out.view.dtype);
  const uint64_t out_bytes = matrix.columns * (out.view.dtype.bits / 8u);
  auto* values = sdk::data<std::byte>(out);
  std::vector<std::byte> dense(matrix.columns * (number.bits / 8u));
  for (uint64_t row = rows.begin; row < rows.end; ++row, values += out_bytes) {
    expand_row(config_, param, parts, row, dense.data());
    if (scheme == nullptr) {
      kernels::with_types(plugins::weight_type(number), out_type, [&](auto from, auto to) {
        const auto* numbers =
            reinterpret_cast<const typename decltype(from)::Stored*>(dense.data());
        auto* results = reinterpret_cast<typename decltype(to)::Stored*>(values);
        for (uint64_t i = 0; i < matrix.columns; ++i) to.store(results, i, from.load(numbers, i));
      });
      continue;
    }
    const precis_tensor& scales = part_at(parts, bitmask_parts(config_, scheme).scales);
    const StoredShape shape = stored_shape(config_, unpacked(*scheme), matrix);
    const uint64_t first = row / shape.tiles.rows * shape.tiles.per_row;
    kernels::ScaledWeight weight{};
    weight.rows = shape.rows;
    weight.tiles = {1, shape.tiles.columns, shape.tiles.per_row};
    weight.codes = dense.data();
    weight.scale_type = plugins::scale_type(scales.view.dtype);
    weight.scales = sdk::data<const std::byte>(scales) + first * (scales.view.dtype.bits / 8u);
    weight.rounding = rounding_of(weight.scale_type);
    plugins::scaled_kernel().dequantize(weight, 0, 1, out_type, values);
  }
}

void CompressedTensorsQuantizer::write_skip_list(const sdk::ModuleList& modules,
                                                 sdk::Json& config) const {
  sdk::ModuleList needed;
  for (const std::string& entry : modules) {
    const bool given = sdk::contains(config_.skip.modules, entry);
    if (given || weight_scheme(entry) != nullptr) needed.push_back(entry);
  }
  config["ignore"] = needed;
}

std::string CompressedTensorsQuantizer::config(const precis_component& component) const {
  if (config_.has_kv_cache_scheme && !has_scales_of_keys(component))
    throw PluginError(
        PRECIS_UNSUPPORTED,
        "kv_cache_scheme needs scales of measured keys and values (k_scale, v_scale), "
        "which the source has not; leave it out");
  sdk::Json object = sdk::Json::parse(ScaledQuantizer::config(component));
  std::string format;
  for (const ConfigGroup& group : config_.groups) {
    const std::string own = format_of(config_, group.scheme);
    object["config_groups"][group.name]["format"] = own;
    if (!group.scheme.weights) continue;
    format = format.empty() || format == own ? own : "mixed-precision";
  }
  if (format.empty()) return object.dump();
  object["format"] = format;
  object["quantization_status"] = "compressed";
  object["version"] = kFormatVersion;
  return object.dump();
}

}  // namespace precis::compressed_tensors
