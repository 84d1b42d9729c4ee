#include "plugins/quark/quantizer.h"

namespace precis::quark {

using kernels::NarrowType;
using sdk::PluginError;

namespace {

constexpr std::size_t kCodes = 0, kScales = 1;

bool keeps_nothing(std::string_view, const sdk::ModuleList&) {
  return false;
}

// Throws PRECIS_UNSUPPORTED for what is not read.
NarrowType narrow_type(const TensorConfig& weights) {
  const bool rows =
      weights.scheme == "per_tensor" || (weights.scheme == "per_channel" && weights.axis == 0);
  const bool exponents = weights.scale_format == "e8m0";
  if (rows && !exponents && weights.dtype == "fp8_e4m3") return NarrowType::float8_e4m3fn;
  if (rows && !exponents && weights.dtype == "int8" && weights.symmetric) return NarrowType::int8;
  const bool groups = weights.scheme == "per_group" && (weights.axis == 1 || weights.axis == -1);
  if (groups && exponents && weights.dtype == "fp4" && weights.group_size > 0 &&
      weights.group_size % 2 == 0)
    return NarrowType::float4_e2m1;
  throw PluginError(PRECIS_UNSUPPORTED,
                    "weights of dtype '" + weights.dtype + "', qscheme '" + weights.scheme +
                        "' are not read; fp8_e4m3 and symmetric int8 per tensor or channel, and "
                        "fp4 per group with e8m0 scales are");
}

kernels::ScaleTiles tiles_of(const TensorConfig& weights, const sdk::Matrix& matrix) {
  kernels::ScaleTiles tiles;
  tiles.columns = std::max<uint64_t>(matrix.columns, 1);
  if (weights.scheme == "per_tensor") tiles.rows = std::max<uint64_t>(matrix.rows, 1);
  if (weights.scheme == "per_group") tiles.columns = static_cast<uint64_t>(weights.group_size);
  tiles.per_row = (matrix.columns + tiles.columns - 1) / tiles.columns;
  return tiles;
}

}  // namespace

QuarkQuantizer::QuarkQuantizer(Config config)
    : ScaledQuantizer(config.normalized, {"", {}, keeps_nothing}), config_(std::move(config)) {}

std::vector<sdk::PartLayout> QuarkQuantizer::layout(const precis_param& param) const {
  const TensorConfig& weights = config_of(config_, sdk::module_of(sdk::view(param.name)));
  const NarrowType type = narrow_type(weights);
  const sdk::Matrix matrix = sdk::matrix(param);
  const kernels::ScaleTiles tiles = tiles_of(weights, matrix);
  const bool packed = type == NarrowType::float4_e2m1;
  if (param.ndim != 2 || (packed && matrix.columns % tiles.columns != 0))
    throw PluginError(PRECIS_UNSUPPORTED, "in_features " + std::to_string(matrix.columns) +
                                              " is not a multiple of group_size " +
                                              std::to_string(tiles.columns));
  const auto tile_rows = static_cast<int64_t>((matrix.rows + tiles.rows - 1) / tiles.rows);
  const std::vector<int64_t> scales{tile_rows, static_cast<int64_t>(tiles.per_row)};
  std::vector<sdk::PartLayout> parts;
  if (packed) {
    parts.push_back({"weight", sdk::kUInt8, {param.shape[0], param.shape[1] / 2}});
    parts.push_back({"weight_scale", sdk::kUInt8, scales, false, sdk::kFloat8E8M0FNU});
  } else {
    const precis_dtype codes = type == NarrowType::int8 ? sdk::kInt8 : sdk::kFloat8E4M3FN;
    parts.push_back({"weight", codes, {param.shape[0], param.shape[1]}});
    parts.push_back({"weight_scale", param.dtype, scales, true});
  }
  // Of a symmetric weight it is 0.
  for (const char* name : {"weight_zero_point", "input_scale", "input_zero_point", "output_scale",
                           "output_zero_point"})
    parts.push_back(sdk::companion(name));
  return parts;
}

void QuarkQuantizer::check_writable(const precis_param&) const {
  throw PluginError(PRECIS_UNSUPPORTED,
                    "Quark's checkpoints are only read; compressed_tensors writes the same numbers "
                    "(fp8-dynamic, w8a8, mxfp4a16)");
}

bool QuarkQuantizer::is_quantized(const sdk::StoredModule& module) const {
  const precis_tensor_info* weight = module.find("weight");
  return weight == nullptr || !sdk::is_weight_dtype(weight->dtype);
}

sdk::StoredWeight QuarkQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& codes = module.at("weight", 2);
  const precis_dtype scale = module.at("weight_scale").dtype;
  const TensorConfig& weights = config_of(config_, module.name());
  const bool packed = narrow_type(weights) == NarrowType::float4_e2m1;
  return {sdk::is_weight_dtype(scale) ? scale : sdk::kBFloat16,
          {codes.shape[0], packed ? codes.shape[1] * 2 : codes.shape[1]}};
}

void QuarkQuantizer::encode(const precis_call&, const precis_param& param, const precis_tensor&,
                            const sdk::Parts&) const {
  check_writable(param);
}

kernels::ScaledWeight QuarkQuantizer::stored(const precis_param& param,
                                             const sdk::ConstParts& parts) const {
  const TensorConfig& weights = config_of(config_, sdk::module_of(sdk::view(param.name)));
  const sdk::Matrix matrix = sdk::matrix(param);
  kernels::ScaledWeight weight{};
  weight.rows = {narrow_type(weights), 8, false, matrix.columns};
  weight.tiles = tiles_of(weights, matrix);
  weight.codes = sdk::data<const void>(*parts[kCodes]);
  weight.scale_type = plugins::scale_type(parts[kScales]->view.dtype);
  weight.scales = sdk::data<const void>(*parts[kScales]);
  const precis_dtype scale = parts[kScales]->view.dtype;
  if (sdk::is_weight_dtype(scale)) weight.rounding = plugins::weight_type(scale);
  return weight;
}

}  // namespace precis::quark
