#include "plugins/modelopt/quantizer.h"

namespace precis::modelopt {

using kernels::NarrowType;
using sdk::PluginError;

namespace {

constexpr std::size_t kCodes = 0, kScales = 1, kScaleOfScales = 2;

struct Form {
  NarrowType type;
  uint64_t tile_rows, tile_columns;  // 0: the whole side
};

Form form_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::fp8:
      return {NarrowType::float8_e4m3fn, 0, 0};
    case Algorithm::fp8_rows:
      return {NarrowType::float8_e4m3fn, 1, 0};
    case Algorithm::fp8_blocks:
      return {NarrowType::float8_e4m3fn, 128, 128};
    case Algorithm::int8_rows:
      return {NarrowType::int8, 1, 0};
    case Algorithm::nvfp4:
      return {NarrowType::float4_e2m1, 1, 16};
    case Algorithm::mxfp4:
      return {NarrowType::float4_e2m1, 1, 32};
    case Algorithm::none:
    case Algorithm::unread:
      break;
  }
  throw PluginError(PRECIS_UNSUPPORTED,
                    "quant_algo FP8, FP8_PER_CHANNEL_PER_TOKEN, fp8_pb_wo, W8A16, NVFP4 and mxfp4 "
                    "are read, others are not");
}

kernels::ScaleTiles tiles_of(const Form& form, const sdk::Matrix& matrix) {
  kernels::ScaleTiles tiles;
  tiles.rows = form.tile_rows == 0 ? std::max<uint64_t>(matrix.rows, 1) : form.tile_rows;
  tiles.columns =
      form.tile_columns == 0 ? std::max<uint64_t>(matrix.columns, 1) : form.tile_columns;
  tiles.per_row = (matrix.columns + tiles.columns - 1) / tiles.columns;
  return tiles;
}

bool keeps_nothing(std::string_view, const sdk::ModuleList&) {
  return false;
}

}  // namespace

ModelOptQuantizer::ModelOptQuantizer(Config config)
    : ScaledQuantizer(config.normalized, {"", {}, keeps_nothing}), config_(std::move(config)) {}

void ModelOptQuantizer::quantized_params(const precis_state_dict& state_dict,
                                         const sdk::EmitParam& emit) const {
  if (config_.of_diffusers)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "weights of diffusers' modelopt config stand beside a pickle of Python "
                      "objects (modelopt_state.pth); export the model with ModelOpt's "
                      "export_hf_checkpoint, whose config has 'quant_algo'");
  ScaledQuantizer::quantized_params(state_dict, emit);
}

Algorithm ModelOptQuantizer::algorithm(std::string_view module) const {
  for (const auto& [name, algorithm] : config_.modules)
    if (name == module) return algorithm;
  return config_.algorithm;
}

std::vector<sdk::PartLayout> ModelOptQuantizer::layout(const precis_param& param) const {
  const Algorithm algorithm = this->algorithm(sdk::module_of(sdk::view(param.name)));
  const Form form = form_of(algorithm);
  const sdk::Matrix matrix = sdk::matrix(param);
  const bool packed = form.type == NarrowType::float4_e2m1;
  if (param.ndim != 2 || (packed && matrix.columns % form.tile_columns != 0))
    throw PluginError(PRECIS_UNSUPPORTED, "in_features " + std::to_string(matrix.columns) +
                                              " is not a multiple of " +
                                              std::to_string(form.tile_columns));
  const kernels::ScaleTiles tiles = tiles_of(form, matrix);
  const auto rows = static_cast<int64_t>((matrix.rows + tiles.rows - 1) / tiles.rows);
  const auto per_row = static_cast<int64_t>(tiles.per_row);
  const precis_dtype codes = packed                          ? sdk::kUInt8
                             : form.type == NarrowType::int8 ? sdk::kInt8
                                                             : sdk::kFloat8E4M3FN;
  std::vector<sdk::PartLayout> parts{
      {"weight", codes, {param.shape[0], packed ? param.shape[1] / 2 : param.shape[1]}}};
  if (algorithm == Algorithm::nvfp4) {
    parts.push_back({"weight_scale", sdk::kFloat8E4M3FN, {rows, per_row}});
    parts.push_back({"weight_scale_2", sdk::kFloat32, {}});
  } else if (algorithm == Algorithm::mxfp4) {
    parts.push_back({"weight_scale", sdk::kUInt8, {rows, per_row}, false, sdk::kFloat8E8M0FNU});
  } else {
    parts.push_back({"weight_scale", sdk::kFloat32, {rows, per_row}, true});
  }
  for (const char* name : {"input_scale", "output_scale"}) parts.push_back(sdk::companion(name));
  return parts;
}

void ModelOptQuantizer::check_writable(const precis_param&) const {
  throw PluginError(PRECIS_UNSUPPORTED,
                    "ModelOpt's checkpoints are only read; compressed_tensors writes the same "
                    "numbers (nvfp4a16, fp8-dynamic)");
}

bool ModelOptQuantizer::is_quantized(const sdk::StoredModule& module) const {
  const precis_tensor_info* weight = module.find("weight");
  return weight == nullptr || !sdk::is_weight_dtype(weight->dtype);
}

sdk::StoredWeight ModelOptQuantizer::describe(const sdk::StoredModule& module) const {
  if (module.find("pre_quant_scale") != nullptr)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'" + module.key("pre_quant_scale") +
                          "': the weights are scaled against the activations, which precis does "
                          "not scale; export the checkpoint without pre_quant_scale (AWQ)");
  const precis_tensor_info& codes = module.at("weight", 2);
  const precis_tensor_info& scales = module.at("weight_scale");
  if (scales.ndim == 1 && sdk::same(scales.dtype, sdk::kUInt8))
    throw PluginError(PRECIS_UNSUPPORTED, "'" + module.key("weight_scale") +
                                              "' is in the order of a kernel of TensorRT-LLM");
  const bool packed = form_of(algorithm(module.name())).type == NarrowType::float4_e2m1;
  return {sdk::kBFloat16, {codes.shape[0], packed ? codes.shape[1] * 2 : codes.shape[1]}};
}

void ModelOptQuantizer::encode(const precis_call&, const precis_param& param, const precis_tensor&,
                               const sdk::Parts&) const {
  check_writable(param);
}

kernels::ScaledWeight ModelOptQuantizer::stored(const precis_param& param,
                                                const sdk::ConstParts& parts) const {
  const Algorithm algorithm = this->algorithm(sdk::module_of(sdk::view(param.name)));
  const Form form = form_of(algorithm);
  const sdk::Matrix matrix = sdk::matrix(param);
  kernels::ScaledWeight weight{};
  weight.rows = {form.type, 8, false, matrix.columns};
  weight.tiles = tiles_of(form, matrix);
  weight.codes = sdk::data<const void>(*parts[kCodes]);
  weight.scale_type = plugins::scale_type(parts[kScales]->view.dtype);
  weight.scales = sdk::data<const void>(*parts[kScales]);
  if (algorithm == Algorithm::nvfp4) weight.factor = plugins::single_number(*parts[kScaleOfScales]);
  return weight;
}

}  // namespace precis::modelopt
