#include "plugins/modelopt/quantizer.h"

#include <cmath>

#include "plugins/modelopt/form.h"
#include "plugins/shell_pattern.h"

namespace precis::modelopt {

using kernels::NarrowType;
using sdk::PluginError;

namespace {

constexpr const char* kVersion = "0.47.0";  // whose stored forms are written
constexpr std::size_t kCodes = 0, kScales = 1, kScaleOfScales = 2;

constexpr const char* kDiffusers =
    "weights of diffusers' modelopt config stand beside a pickle of Python objects "
    "(modelopt_state.pth); use a config with 'quant_algo', as ModelOpt's export_hf_checkpoint "
    "writes it";

kernels::ScaleTiles tiles_of(const Form& form, const sdk::Matrix& matrix) {
  kernels::ScaleTiles tiles;
  tiles.rows = form.tile_rows == 0 ? std::max<uint64_t>(matrix.rows, 1) : form.tile_rows;
  tiles.columns =
      form.tile_columns == 0 ? std::max<uint64_t>(matrix.columns, 1) : form.tile_columns;
  tiles.per_row = (matrix.columns + tiles.columns - 1) / tiles.columns;
  return tiles;
}

kernels::NarrowRows rows_of(const Form& form, const sdk::Matrix& matrix) {
  return {form.type, form.bits, false, matrix.columns};
}

// Throws PRECIS_UNSUPPORTED for a weight that does not divide into the scheme's groups and pairs.
void check_shape(const Form& form, const precis_param& param) {
  const sdk::Matrix matrix = sdk::matrix(param);
  if (param.ndim != 2)
    throw PluginError(PRECIS_UNSUPPORTED, "only matrices [out_features, in_features] are stored");
  if (form.in_groups && matrix.columns % form.tile_columns != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "in_features " + std::to_string(matrix.columns) +
                                              " is not a multiple of " +
                                              std::to_string(form.tile_columns));
  if (form.type == NarrowType::int4_row_pairs && matrix.rows % 2 != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "out_features " + std::to_string(matrix.rows) +
                                              " is odd, and two rows share bytes");
}

}  // namespace

ModelOptQuantizer::ModelOptQuantizer(Config config)
    : ScaledQuantizer(config.normalized, {"ignore", config.ignored, plugins::matches_any_pattern}),
      config_(std::move(config)) {}

void ModelOptQuantizer::quantized_params(const precis_state_dict& state_dict,
                                         const sdk::EmitParam& emit) const {
  if (config_.of_diffusers) throw PluginError(PRECIS_UNSUPPORTED, kDiffusers);
  ScaledQuantizer::quantized_params(state_dict, emit);
}

std::string ModelOptQuantizer::config(const precis_component& component) const {
  sdk::Json object = sdk::Json::parse(ScaledQuantizer::config(component));
  if (config_.of_diffusers) return object.dump();
  if (!object.contains("ignore")) object["ignore"] = sdk::Json::array();
  if (!object.contains("producer"))
    object["producer"] = {{"name", "modelopt"}, {"version", kVersion}};
  const sdk::Json group = config_group(config_.scheme);
  if (!object.contains("config_groups") && !group.is_null())
    object["config_groups"] = {{"group_0", group}};
  return object.dump();
}

const Scheme& ModelOptQuantizer::scheme(std::string_view module) const {
  for (const auto& [name, scheme] : config_.modules)
    if (name == module) return scheme;
  return config_.scheme;
}

std::vector<sdk::PartLayout> ModelOptQuantizer::layout(const precis_param& param) const {
  const Form form = form_of(scheme(param));
  check_shape(form, param);
  const sdk::Matrix matrix = sdk::matrix(param);
  const kernels::ScaleTiles tiles = tiles_of(form, matrix);
  const auto tile_rows = static_cast<int64_t>((matrix.rows + tiles.rows - 1) / tiles.rows);
  const auto per_row = static_cast<int64_t>(tiles.per_row);
  std::vector<sdk::PartLayout> parts{{"weight", form.codes, {param.shape[0], param.shape[1]}}};
  if (form.type == NarrowType::float4_e2m1) parts[0].shape[1] /= 2;
  if (form.type == NarrowType::int4_row_pairs) parts[0].shape[0] /= 2;
  std::vector<int64_t> scales{tile_rows, per_row};
  if (form.tile_rows == 0) scales.clear();
  if (form.tile_rows == 1 && form.tile_columns == 0) scales.pop_back();
  if (form.tile_rows > 1) scales = {tile_rows, 1, per_row, 1};
  switch (form.rule) {
    case kernels::ScaleRule::two_levels_product:
      parts.push_back({"weight_scale", sdk::kFloat8E4M3FN, std::move(scales)});
      parts.push_back({"weight_scale_2", sdk::kFloat32, {}});
      break;
    case kernels::ScaleRule::exponent_ceiling:
      parts.push_back({"weight_scale", sdk::kUInt8, std::move(scales), false, sdk::kFloat8E8M0FNU});
      break;
    default:
      parts.push_back({"weight_scale", sdk::kFloat32, std::move(scales), true});
  }
  if (form.in_float8) parts.push_back({"weight_scale_2", sdk::kFloat32, {}});
  // The first: decoding tells it from the others, which have one number, by its shape.
  for (const char* name : {"pre_quant_scale", "input_scale", "output_scale"})
    parts.push_back(sdk::companion(name));
  return parts;
}

void ModelOptQuantizer::check_writable(const precis_param& param) const {
  if (config_.of_diffusers) throw PluginError(PRECIS_UNSUPPORTED, kDiffusers);
  plugins::weight_type(param.dtype);
  const Scheme& scheme = this->scheme(param);
  if (scheme.name == "NVFP4_AWQ" || scheme.name == "W8A8_SQ_PER_CHANNEL" ||
      scheme.name == "W4A8_AWQ")
    throw PluginError(PRECIS_UNSUPPORTED,
                      "quant_algo " + scheme.name +
                          " needs scales of the activations, which only a calibration finds; "
                          "W4A16_NVFP4, W8A16 and W4A16_AWQ store the same numbers without them");
}

bool ModelOptQuantizer::is_quantized(const sdk::StoredModule& module) const {
  const precis_tensor_info* weight = module.find("weight");
  return weight == nullptr || !sdk::is_weight_dtype(weight->dtype);
}

sdk::StoredWeight ModelOptQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& codes = module.at("weight", 2);
  const precis_tensor_info& scales = module.at("weight_scale");
  const NarrowType type = form_of(scheme(module.name())).type;
  if (type == NarrowType::float4_e2m1 && scales.ndim == 1 && sdk::same(scales.dtype, sdk::kUInt8))
    throw PluginError(PRECIS_UNSUPPORTED, "'" + module.key("weight_scale") +
                                              "' is in the order of a kernel of TensorRT-LLM");
  std::vector<int64_t> shape{codes.shape[0], codes.shape[1]};
  if (type == NarrowType::float4_e2m1) shape[1] *= 2;
  if (type == NarrowType::int4_row_pairs) shape[0] *= 2;
  return {sdk::kBFloat16, std::move(shape)};
}

std::optional<plugins::ScaledEncodingPlan> ModelOptQuantizer::encoding(const precis_param& param,
                                                                       const sdk::Parts&) const {
  const Form form = form_of(scheme(param));
  const sdk::Matrix matrix = sdk::matrix(param);
  plugins::ScaledEncodingPlan plan{{rows_of(form, matrix), tiles_of(form, matrix)}};
  plan.encoding.scale_rule = form.rule;
  plan.encoding.bits = form.bits;
  plan.one_tile = form.tile_rows == 0;
  plan.whole_divisor = form.whole_divisor;
  plan.codes = kCodes;
  plan.scales = kScales;
  if (form.whole_divisor > 0) plan.whole_scale = kScaleOfScales;
  return plan;
}

kernels::ScaledWeight ModelOptQuantizer::stored(const precis_param& param,
                                                const sdk::ConstParts& parts) const {
  const Form form = form_of(scheme(param));
  const sdk::Matrix matrix = sdk::matrix(param);
  kernels::ScaledWeight weight{};
  weight.rows = rows_of(form, matrix);
  weight.tiles = tiles_of(form, matrix);
  weight.codes = sdk::data<const void>(*parts[kCodes]);
  weight.scale_type = plugins::scale_type(parts[kScales]->view.dtype);
  weight.scales = sdk::data<const void>(*parts[kScales]);
  if (form.whole_divisor > 0) weight.factor = plugins::single_number(*parts[kScaleOfScales]);
  return weight;
}

// How many parts a weight has before its pre_quant_scale.
static std::size_t own_parts(const Form& form) {
  return form.in_float8 || form.whole_divisor > 0 ? 3 : 2;
}

EffectiveWeight ModelOptQuantizer::effective(const precis_param& param,
                                             const sdk::ConstParts& parts) const {
  const Form form = form_of(scheme(param));
  EffectiveWeight weight;
  weight.numbers = {stored(param, parts), kernels::WeightType::f32};
  if (form.in_float8) weight.float8_scale = plugins::single_number(*parts[kScaleOfScales]);
  const std::size_t own = own_parts(form);
  if (parts.size() <= own) return weight;
  const precis_view& scales = parts[own]->view;
  const uint64_t columns = sdk::matrix(param).columns;
  if (scales.ndim == 1 && scales.shape[0] == static_cast<int64_t>(columns) &&
      sdk::is_weight_dtype(scales.dtype))
    weight.columns = plugins::floats_of(*parts[own], 0, columns);
  else if (sdk::elements(scales.ndim, scales.shape) > 1)
    throw PluginError(PRECIS_DATA_LOSS, "'pre_quant_scale' must be a float for each of the " +
                                            std::to_string(columns) + " columns");
  return weight;
}

void ModelOptQuantizer::decode(const precis_call& call, const precis_param& param,
                               const sdk::ConstParts& parts, sdk::RowRange rows,
                               const precis_tensor& out) const {
  const EffectiveWeight weight = effective(param, parts);
  if (weight.is_plain()) return ScaledQuantizer::decode(call, param, parts, rows, out);
  const uint64_t columns = sdk::matrix(param).columns;
  float values[kernels::kStrip];
  kernels::with_type(plugins::weight_type(out.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    auto* to = sdk::data<typename Type::Stored>(out);
    for (uint64_t row = rows.begin; row < rows.end; ++row) {
      for (uint64_t begin = 0; begin < columns; begin += kernels::kStrip) {
        const uint64_t end = std::min(columns, begin + kernels::kStrip);
        modelopt::decode(weight, row, begin, end, values);
        for (uint64_t i = 0; i < end - begin; ++i) Type::store(to++, 0, values[i]);
      }
    }
  });
}

std::unique_ptr<sdk::Linear> ModelOptQuantizer::prepare_linear(const precis_call& call,
                                                               const precis_linear_options& options,
                                                               const precis_param& param,
                                                               const sdk::ConstParts& parts,
                                                               const sdk::Parts& packed) const {
  check_parts(param, parts);
  EffectiveWeight weight = effective(param, parts);
  if (weight.is_plain())
    return ScaledQuantizer::prepare_linear(call, options, param, parts, packed);
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  kernels::LinearWeight linear{};
  linear.arithmetic = plugins::float_arithmetic(options);
  linear.out_features = matrix.rows;
  linear.in_features = matrix.columns;
  linear.decode_floats = decode_floats;
  weight.out_type = plugins::decoded_type(linear.arithmetic);
  return std::make_unique<plugins::Product<EffectiveWeight>>(options, linear, std::move(weight));
}

void ModelOptQuantizer::check_stored(const precis_param& param,
                                     const sdk::ConstParts& parts) const {
  const Form form = form_of(scheme(param));
  const std::size_t own = own_parts(form);
  const bool has_columns =
      parts.size() > own && sdk::elements(parts[own]->view.ndim, parts[own]->view.shape) > 1;
  if (form.in_float8 || has_columns)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "only numbers with scales for tiles are decoded here, not W4A8_AWQ's or "
                      "those with a 'pre_quant_scale'");
}

bool ModelOptQuantizer::reads(const precis_param& param, std::size_t part) const {
  return part == kScaleOfScales && form_of(scheme(param)).whole_divisor > 0;
}

}  // namespace precis::modelopt
