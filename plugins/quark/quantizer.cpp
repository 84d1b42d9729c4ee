#include "plugins/quark/quantizer.h"

#include <cstring>

#include "plugins/group_products.h"
#include "plugins/quark/integers.h"
#include "plugins/shell_pattern.h"

namespace precis::quark {

using kernels::NarrowType;
using sdk::PluginError;

namespace {

constexpr std::size_t kCodes = 0, kScales = 1, kZeros = 2;

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
                        "int4, uint4 and, with e8m0 scales, fp4 per group are");
}

kernels::ScaleTiles tiles_of(const TensorConfig& weights, const sdk::Matrix& matrix) {
  kernels::ScaleTiles tiles;
  tiles.columns = std::max<uint64_t>(matrix.columns, 1);
  if (weights.scheme == "per_tensor") tiles.rows = std::max<uint64_t>(matrix.rows, 1);
  if (weights.scheme == "per_group") tiles.columns = static_cast<uint64_t>(weights.group_size);
  tiles.per_row = (matrix.columns + tiles.columns - 1) / tiles.columns;
  return tiles;
}

// What may stand beside a weight and is not needed to decode it.
std::vector<sdk::PartLayout> with_companions(std::vector<sdk::PartLayout> parts) {
  for (const char* name : {"input_scale", "input_zero_point", "output_scale", "output_zero_point"})
    parts.push_back(sdk::companion(name));
  return parts;
}

}  // namespace

QuarkQuantizer::QuarkQuantizer(Config config)
    : ScaledQuantizer(config.normalized,
                      {"exclude", config.excluded, plugins::matches_any_pattern}),
      config_(std::move(config)) {}

std::string QuarkQuantizer::config(const precis_component& component) const {
  return complete(sdk::Json::parse(ScaledQuantizer::config(component))).dump();
}

std::vector<sdk::PartLayout> QuarkQuantizer::layout(const precis_param& param) const {
  const TensorConfig& weights = weights_of(param);
  if (is_packed_integers(weights)) return with_companions(packed_layout(weights, param));
  const NarrowType type = narrow_type(weights);
  const sdk::Matrix matrix = sdk::matrix(param);
  const kernels::ScaleTiles tiles = tiles_of(weights, matrix);
  const bool packed = type == NarrowType::float4_e2m1;
  if (param.ndim != 2 || (packed && matrix.columns % tiles.columns != 0))
    throw PluginError(PRECIS_UNSUPPORTED, "in_features " + std::to_string(matrix.columns) +
                                              " is not a multiple of group_size " +
                                              std::to_string(tiles.columns));
  std::vector<int64_t> scales;
  if (weights.scheme != "per_tensor") scales.push_back(param.shape[0]);
  if (packed) scales.push_back(static_cast<int64_t>(tiles.per_row));
  std::vector<sdk::PartLayout> parts;
  if (packed) {
    parts.push_back({"weight", sdk::kUInt8, {param.shape[0], param.shape[1] / 2}});
    parts.push_back({"weight_scale", sdk::kUInt8, scales, false, sdk::kFloat8E8M0FNU});
  } else {
    const precis_dtype codes = type == NarrowType::int8 ? sdk::kInt8 : sdk::kFloat8E4M3FN;
    parts.push_back({"weight", codes, {param.shape[0], param.shape[1]}});
    // An integer's one scale is what Quark's eps, a float32, made of it.
    const bool wide = type == NarrowType::int8 && scales.empty();
    parts.push_back({"weight_scale", wide ? sdk::kFloat32 : param.dtype, scales, true});
  }
  // Of a symmetric weight it is 0.
  if (type == NarrowType::int8)
    parts.push_back({"weight_zero_point", sdk::kInt8, scales, false, {}, true});
  return with_companions(std::move(parts));
}

void QuarkQuantizer::check_writable(const precis_param& param) const {
  plugins::weight_type(param.dtype);
  const TensorConfig& weights = weights_of(param);
  if (is_packed_integers(weights)) {
    if (weights.symmetric != (weights.dtype == "int4"))
      throw PluginError(PRECIS_UNSUPPORTED,
                        "int4 is written symmetric, uint4 with zero points (symmetric false)");
    return;
  }
  const bool even = weights.scale_mode.empty() || weights.scale_mode == "even";
  if (narrow_type(weights) == NarrowType::float4_e2m1 && (!even || weights.group_size % 32 != 0))
    throw PluginError(PRECIS_UNSUPPORTED,
                      "fp4 is written with scale_calculation_mode even, in groups of a multiple of "
                      "32");
}

bool QuarkQuantizer::is_quantized(const sdk::StoredModule& module) const {
  const precis_tensor_info* weight = module.find("weight");
  return weight == nullptr || !sdk::is_weight_dtype(weight->dtype);
}

sdk::StoredWeight QuarkQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& codes = module.at("weight", 2);
  const precis_dtype scale = module.at("weight_scale").dtype;
  const TensorConfig& weights = config_of(config_, module.name());
  if (is_packed_integers(weights))
    return {sdk::is_weight_dtype(scale) ? scale : sdk::kBFloat16,
            {codes.shape[1] * 8, codes.shape[0]}};
  const bool packed = narrow_type(weights) == NarrowType::float4_e2m1;
  return {sdk::is_weight_dtype(scale) ? scale : sdk::kBFloat16,
          {codes.shape[0], packed ? codes.shape[1] * 2 : codes.shape[1]}};
}

void QuarkQuantizer::encode(const precis_call& call, const precis_param& param,
                            const precis_tensor& weight, const sdk::Parts& parts) const {
  const TensorConfig& weights = weights_of(param);
  if (is_packed_integers(weights)) return encode_packed(call, weights, param, weight, parts);
  ScaledQuantizer::encode(call, param, weight, parts);
}

std::optional<plugins::ScaledEncodingPlan> QuarkQuantizer::encoding(const precis_param& param,
                                                                    const sdk::Parts& parts) const {
  const TensorConfig& weights = weights_of(param);
  if (is_packed_integers(weights)) return std::nullopt;
  const sdk::Matrix matrix = sdk::matrix(param);
  plugins::ScaledEncodingPlan plan{
      {{narrow_type(weights), 8, false, matrix.columns}, tiles_of(weights, matrix)}};
  plan.encoding.scale_rule = plan.encoding.rows.type == NarrowType::float4_e2m1
                                 ? kernels::ScaleRule::exponent_positive_zero
                                 : kernels::ScaleRule::own_reciprocal;
  plan.one_tile = weights.scheme == "per_tensor";
  plan.codes = kCodes;
  plan.scales = kScales;
  if (parts.size() > kZeros)
    plan.constants.emplace_back(kZeros, std::string(parts[kZeros]->nbytes, '\0'));
  return plan;
}

kernels::ScaledWeight QuarkQuantizer::stored(const precis_param& param,
                                             const sdk::ConstParts& parts) const {
  const TensorConfig& weights = weights_of(param);
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

void QuarkQuantizer::decode(const precis_call& call, const precis_param& param,
                            const sdk::ConstParts& parts, sdk::RowRange rows,
                            const precis_tensor& out) const {
  const TensorConfig& weights = weights_of(param);
  if (!is_packed_integers(weights)) return ScaledQuantizer::decode(call, param, parts, rows, out);
  kernels::awq_kernels(kernels::current_isa())
      .dequantize(kernels::AwqLayout::gemm, packed_shape(weights, param),
                  sdk::data<const void>(*parts[kCodes]), sdk::data<const void>(*parts[kZeros]),
                  plugins::weight_type(parts[kScales]->view.dtype),
                  sdk::data<const void>(*parts[kScales]), rows.begin, rows.end,
                  plugins::weight_type(out.view.dtype), sdk::data<void>(out));
}

void QuarkQuantizer::check_numbers(const precis_param& param) const {
  if (is_packed_integers(weights_of(param)))
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "integers of 4 bits in groups are for the CPU alone");
}

void QuarkQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                 sdk::PlanWriter& plan) const {
  const TensorConfig& weights = weights_of(param);
  if (!is_packed_integers(weights)) return ScaledQuantizer::plan_linear(options, param, plan);
  plugins::product_shape(options, param);
  plugins::plan_group_product(options, param, 4, packed_shape(weights, param).groups(), false,
                              plan);
}

std::unique_ptr<sdk::Linear> QuarkQuantizer::prepare_linear(const precis_call& call,
                                                            const precis_linear_options& options,
                                                            const precis_param& param,
                                                            const sdk::ConstParts& parts,
                                                            const sdk::Parts& packed) const {
  const TensorConfig& weights = weights_of(param);
  if (!is_packed_integers(weights))
    return ScaledQuantizer::prepare_linear(call, options, param, parts, packed);
  check_parts(param, parts);
  return plugins::awq_product(call, options, param, kernels::AwqLayout::gemm,
                              packed_shape(weights, param), awq_parts(parts), packed);
}

const TensorConfig& QuarkQuantizer::weights_of(const precis_param& param) const {
  return config_of(config_, sdk::module_of(sdk::view(param.name)));
}

}  // namespace precis::quark
