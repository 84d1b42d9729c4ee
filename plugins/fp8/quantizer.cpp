#include "plugins/fp8/quantizer.h"

#include "plugins/weight_type.h"

namespace precis::fp8 {
namespace {

using kernels::Fp8ScaleType;
using kernels::Fp8Tiles;
using sdk::PluginError;

const kernels::Fp8Kernels& kernel() {
  return kernels::fp8_kernels(kernels::current_isa());
}

// Tiles of a weight; tile sides of 0 mean one tile.
Fp8Tiles tiles_of(const sdk::Matrix& matrix, uint64_t tile_rows, uint64_t tile_columns) {
  return {matrix.columns, tile_rows == 0 ? std::max<uint64_t>(matrix.rows, 1) : tile_rows,
          tile_columns == 0 ? std::max<uint64_t>(matrix.columns, 1) : tile_columns};
}

std::vector<int64_t> shape_of(const precis_tensor_info& tensor) {
  return {tensor.shape, tensor.shape + tensor.ndim};
}

std::vector<int64_t> shape_of(const precis_param& param) {
  return {param.shape, param.shape + param.ndim};
}

}  // namespace

Fp8ScaleType scale_type(precis_dtype dtype) {
  if (sdk::same(dtype, sdk::kFloat32)) return Fp8ScaleType::f32;
  if (sdk::same(dtype, sdk::kFloat16)) return Fp8ScaleType::f16;
  if (sdk::same(dtype, sdk::kBFloat16)) return Fp8ScaleType::bf16;
  if (sdk::same(dtype, sdk::kFloat8E8M0FNU) || sdk::same(dtype, sdk::kUInt8))
    return Fp8ScaleType::e8m0;
  throw PluginError(PRECIS_DATA_LOSS, "the scales have a dtype that fp8 does not know");
}

TileQuantizer::TileQuantizer(TileConfig config)
    : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

Fp8Tiles TileQuantizer::tiles(const precis_param& param) const {
  return tiles_of(sdk::matrix(param), config_.tile_rows, config_.tile_columns);
}

Fp8Tiles RowQuantizer::tiles(const precis_param& param) {
  return tiles_of(sdk::matrix(param), 1, 0);
}

std::vector<sdk::PartLayout> TileQuantizer::layout(const precis_param& param) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const Fp8Tiles tiles = this->tiles(param);
  std::vector<int64_t> scales;
  if (config_.tile_rows != 0) {
    scales = {static_cast<int64_t>((matrix.rows + tiles.tile_rows - 1) / tiles.tile_rows),
              static_cast<int64_t>(tiles.tiles_per_row())};
  }
  return {{"weight", sdk::kFloat8E4M3FN, shape_of(param)},
          {"weight_scale_inv", config_.exponent_scales ? sdk::kFloat8E8M0FNU : sdk::kFloat32,
           std::move(scales), true, sdk::kUInt8},
          {"activation_scale", sdk::kFloat32, {}, true, {}, true, false}};
}

void TileQuantizer::check_writable(const precis_param& param) const {
  plugins::weight_type(param.dtype);
  const sdk::Matrix matrix = sdk::matrix(param);
  if (config_.normalized["activation_scheme"] == "static") {
    throw PluginError(PRECIS_UNSUPPORTED,
                      "activation_scheme static needs measured activations; use dynamic");
  }
  if (config_.tile_rows == 0) return;
  // transformers reads a ragged weight in equal tiles, and so to other values.
  if (matrix.rows % config_.tile_rows != 0 || matrix.columns % config_.tile_columns != 0) {
    throw PluginError(PRECIS_UNSUPPORTED, "its shape [" + std::to_string(matrix.rows) + ", " +
                                              std::to_string(matrix.columns) +
                                              "] is not a multiple of weight_block_size " +
                                              config_.normalized["weight_block_size"].dump());
  }
}

sdk::StoredWeight TileQuantizer::describe(const sdk::StoredModule& module) const {
  const precis_tensor_info& codes = module.at("weight", 2);
  const precis_dtype scale = module.at("weight_scale_inv").dtype;
  // As transformers decodes: in the scale's dtype, or bfloat16 when that is no number format.
  return {sdk::is_weight_dtype(scale) ? scale : sdk::kBFloat16, shape_of(codes)};
}

void TileQuantizer::encode(const precis_call& call, const precis_param& param,
                           const precis_tensor& weight, const sdk::Parts& parts) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const Fp8Tiles tiles = this->tiles(param);
  const auto scale = config_.exponent_scales ? Fp8ScaleType::e8m0 : Fp8ScaleType::f32;
  const void* values = sdk::data<const void>(weight);
  auto* codes = sdk::data<uint8_t>(*parts[kCodes]);
  void* scales = sdk::data<void>(*parts[kScales]);
  sdk::for_rows(call, matrix, tiles.tile_rows, [&](sdk::RowRange rows) {
    kernel().quantize_tiles(plugins::weight_type(param.dtype), values, tiles, scale, rows.begin,
                            rows.end, codes, scales);
  });
}

void TileQuantizer::decode(const precis_call&, const precis_param& param,
                           const sdk::ConstParts& parts, sdk::RowRange rows,
                           const precis_tensor& out) const {
  const Fp8Tiles tiles = this->tiles(param);
  kernel().dequantize(sdk::data<const uint8_t>(*parts[kCodes]), tiles,
                      scale_type(parts[kScales]->view.dtype),
                      sdk::data<const void>(*parts[kScales]), rows.begin, rows.end,
                      plugins::weight_type(out.view.dtype), sdk::data<void>(out));
}

RowQuantizer::RowQuantizer(RowConfig config)
    : WeightQuantizer(std::move(config.normalized), std::move(config.skip)) {}

std::vector<sdk::PartLayout> RowQuantizer::layout(const precis_param& param) const {
  return {
      {"weight", sdk::kFloat8E4M3FN, shape_of(param)},
      {"weight_scale", sdk::kFloat32, {static_cast<int64_t>(sdk::matrix(param).rows), 1}, true}};
}

sdk::StoredWeight RowQuantizer::describe(const sdk::StoredModule& module) const {
  return {sdk::kBFloat16, shape_of(module.at("weight", 2))};
}

void RowQuantizer::encode(const precis_call& call, const precis_param& param,
                          const precis_tensor& weight, const sdk::Parts& parts) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const auto type = plugins::weight_type(param.dtype);
  const void* values = sdk::data<const void>(weight);
  auto* codes = sdk::data<uint8_t>(*parts[kCodes]);
  auto* scales = sdk::data<float>(*parts[kScales]);
  sdk::for_rows(call, matrix, 1, [&](sdk::RowRange rows) {
    kernel().quantize_rows(type, values, matrix.columns, rows.begin, rows.end, codes, scales);
  });
}

void RowQuantizer::decode(const precis_call&, const precis_param& param,
                          const sdk::ConstParts& parts, sdk::RowRange rows,
                          const precis_tensor& out) const {
  kernel().dequantize(sdk::data<const uint8_t>(*parts[kCodes]), tiles(param),
                      scale_type(parts[kScales]->view.dtype),
                      sdk::data<const void>(*parts[kScales]), rows.begin, rows.end,
                      plugins::weight_type(out.view.dtype), sdk::data<void>(out));
}

}  // namespace precis::fp8
