#include "plugins/torchao/stored.h"

#include "plugins/linear.h"
#include "plugins/torchao/metadata.h"
#include "plugins/torchao/quantizer.h"

namespace precis::torchao {

using sdk::Json;
using sdk::PluginError;

namespace {

[[noreturn]] void damaged(const std::string& text) {
  throw PluginError(PRECIS_DATA_LOSS, text);
}

// The whole shape, which tiles are padded beyond; empty: not told.
std::vector<int64_t> told_shape(const Json& data) {
  const Json shape = data.value("shape", Json());
  if (!shape.is_array() || shape.size() != 2 || !shape[0].is_number_integer() ||
      !shape[1].is_number_integer())
    return {};
  constexpr int64_t kMost = int64_t{1} << 40;
  const std::vector<int64_t> sizes{shape[0].get<int64_t>(), shape[1].get<int64_t>()};
  if (sizes[0] <= 0 || sizes[1] <= 0 || sizes[0] > kMost || sizes[1] > kMost)
    damaged("the file's metadata tells an impossible shape " + shape.dump());
  return sizes;
}

void refuse_scaled_activations(const sdk::StoredModule& module) {
  for (const char* part : {"_weight_act_pre_scale", "_weight_act_quant_scale"}) {
    if (module.find(part) == nullptr) continue;
    throw PluginError(PRECIS_UNSUPPORTED,
                      "'" + module.key(part) +
                          "' scales or fixes activations (AWQ, SmoothQuant, static quantization): "
                          "the weight alone is not the layer");
  }
}

bool is_byte_code(precis_dtype dtype) {
  return sdk::same(dtype, sdk::kInt8) || sdk::same(dtype, sdk::kFloat8E4M3FN) ||
         sdk::same(dtype, sdk::kFloat8E5M2);
}

kernels::AoCodes byte_codes(precis_dtype dtype) {
  if (sdk::same(dtype, sdk::kFloat8E4M3FN)) return kernels::AoCodes::float8_e4m3fn;
  return sdk::same(dtype, sdk::kFloat8E5M2) ? kernels::AoCodes::float8_e5m2
                                            : kernels::AoCodes::int8;
}

uint64_t count_of(const precis_tensor& tensor) {
  return sdk::elements(tensor.view.ndim, tensor.view.shape);
}
uint64_t size_of(const precis_tensor& tensor, int32_t dimension) {
  return static_cast<uint64_t>(tensor.view.shape[dimension]);
}

// Scales [rows / block_rows, columns / block]; of old [rows] or [].
void read_blocks(const precis_tensor& scale, kernels::AoWeight& weight) {
  const int32_t ndim = scale.view.ndim;
  const uint64_t rows = ndim >= 1 ? size_of(scale, 0) : 1;
  const uint64_t columns = ndim >= 2 ? size_of(scale, 1) : 1;
  if (ndim > 2 || rows == 0 || columns == 0 || weight.rows % rows != 0 ||
      weight.columns % columns != 0)
    damaged("'_weight_scale' does not divide the weight's shape");
  weight.block_rows = weight.rows / rows;
  weight.block = weight.columns / columns;
  plugins::require_bytes(scale, rows * columns * (scale.view.dtype.bits / 8u));
}

void read_byte_codes(const sdk::ConstParts& parts, kernels::AoWeight& weight) {
  weight.codes = byte_codes(parts[kCodes]->view.dtype);
  plugins::require_bytes(*parts[kCodes], weight.rows * weight.columns);
  read_blocks(*parts[kScale], weight);
  if (parts.size() <= kZero) return;
  if (!sdk::same(parts[kZero]->view.dtype, sdk::kInt8))
    throw PluginError(PRECIS_UNSUPPORTED, "'_weight_zero_point' is not int8");
  plugins::require_bytes(*parts[kZero], count_of(*parts[kScale]));
  weight.zero_points = sdk::data<const int8_t>(*parts[kZero]);
}

void read_pairs(const sdk::ConstParts& parts, kernels::AoWeight& weight) {
  const precis_tensor& scale = *parts[kScale];
  if (parts.size() <= kZero || scale.view.ndim != 2 || size_of(scale, 0) == 0 ||
      size_of(scale, 1) != weight.rows || weight.columns % size_of(scale, 0) != 0 ||
      !sdk::same(parts[kZero]->view.dtype, scale.view.dtype))
    damaged("the parts are not those of an Int4Tensor");
  weight.codes = kernels::AoCodes::int4_pairs;
  weight.block_rows = 1;
  weight.block = weight.columns / size_of(scale, 0);
  plugins::require_bytes(*parts[kCodes], weight.rows * weight.columns / 2);
  for (const std::size_t part : {kScale, kZero})
    plugins::require_bytes(*parts[part], count_of(scale) * (scale.view.dtype.bits / 8u));
  weight.zeros = sdk::data<const void>(*parts[kZero]);
}

void read_tiles(const sdk::ConstParts& parts, kernels::AoWeight& weight) {
  const precis_tensor &codes = *parts[kCodes], &scale = *parts[kScale];
  if (codes.view.ndim != 4 || size_of(codes, 2) != 32 || size_of(codes, 3) != 4 ||
      scale.view.ndim != 3 || size_of(scale, 2) != 2 ||
      !sdk::same(scale.view.dtype, sdk::kBFloat16))
    damaged("the parts are not those of an Int4TilePackedTo4dTensor with 8 inner tiles");
  weight.codes = kernels::AoCodes::int4_tiles;
  weight.padded_rows = size_of(codes, 0) * 8;
  weight.padded_columns = size_of(codes, 1) * 128;
  const uint64_t blocks = size_of(scale, 0);
  if (weight.padded_rows < weight.rows || weight.padded_columns < weight.columns ||
      size_of(scale, 1) != weight.padded_rows || blocks == 0 || weight.padded_columns % blocks != 0)
    damaged("the tiles are not those of the weight's shape");
  weight.block_rows = 1;
  weight.block = weight.padded_columns / blocks;
  plugins::require_bytes(codes, weight.padded_rows * weight.padded_columns / 2);
  plugins::require_bytes(scale, blocks * weight.padded_rows * 4);
}

}  // namespace

StoredObject stored_object(const sdk::StoredModule& module, const Json& metadata) {
  const Json object = object_of(metadata, module.key("weight"));
  const std::string type = object.is_null() ? "" : object["_type"].get<std::string>();
  const Json data =
      object.is_null() || !object.contains("_data") ? Json::object() : object["_data"];
  refuse_scaled_activations(module);
  const precis_tensor_info& codes = module.at("_weight_qdata", 2);
  const bool tiles = module.find("_weight_scale_and_zero") != nullptr;
  const precis_tensor_info& scale = module.at(tiles ? "_weight_scale_and_zero" : "_weight_scale");
  const precis_tensor_info* zero = module.find("_weight_zero_point");
  const bool pairs = !tiles && sdk::same(codes.dtype, sdk::kInt8) && zero != nullptr &&
                     sdk::is_weight_dtype(zero->dtype) && type != "IntxUnpackedToInt8Tensor";
  if (!tiles && !is_byte_code(codes.dtype))
    throw PluginError(PRECIS_UNSUPPORTED, "'" + module.key("weight") + "' is a " +
                                              (type.empty() ? "tensor" : type) +
                                              " that precis does not decode");
  StoredObject found;
  found.weight.shape = {codes.shape[0], pairs ? codes.shape[1] * 2 : codes.shape[1]};
  if (tiles) found.weight.shape = {codes.shape[0] * 8, codes.shape[1] * 128};
  const std::vector<int64_t> told = told_shape(data);
  if ((tiles || pairs) && !told.empty()) found.weight.shape = told;
  const std::optional<precis_dtype> dtype = dtype_of_name(data.value("dtype", Json()));
  found.weight.dtype = dtype                               ? *dtype
                       : sdk::is_weight_dtype(scale.dtype) ? scale.dtype
                                                           : sdk::kFloat32;
  const auto add = [&](std::string_view part) {
    found.parts.push_back(static_cast<uint64_t>(module.index(part)));
  };
  add("_weight_qdata");
  add(tiles ? "_weight_scale_and_zero" : "_weight_scale");
  if (!tiles && zero != nullptr) add("_weight_zero_point");
  return found;
}

kernels::AoWeight stored_weight(const precis_param& param, const sdk::ConstParts& parts) {
  if (parts.size() < 2) damaged("'_weight_scale' is missing");
  const sdk::Matrix matrix = sdk::matrix(param);
  const precis_dtype scale = parts[kScale]->view.dtype;
  if (!sdk::is_weight_dtype(scale)) damaged("'_weight_scale' is no floating dtype");
  kernels::AoWeight weight{};
  weight.rows = matrix.rows;
  weight.columns = matrix.columns;
  weight.qdata = sdk::data<const void>(*parts[kCodes]);
  weight.scales = sdk::data<const void>(*parts[kScale]);
  weight.scale_type = plugins::weight_type(scale);
  weight.dtype = plugins::weight_type(param.dtype);
  const precis_dtype codes = parts[kCodes]->view.dtype;
  if (sdk::same(codes, sdk::kInt32))
    read_tiles(parts, weight);
  else if (!is_byte_code(codes))
    damaged("'_weight_qdata' has the wrong dtype");
  else if (sdk::same(codes, sdk::kInt8) && count_of(*parts[kCodes]) * 2 == matrix.elements())
    read_pairs(parts, weight);
  else
    read_byte_codes(parts, weight);
  return weight;
}

bool is_integer_rows(const kernels::AoWeight& weight) {
  if (weight.codes != kernels::AoCodes::int8 || weight.block != weight.columns) return false;
  const int8_t* zeros = weight.zero_points;
  return zeros == nullptr || std::all_of(zeros, zeros + weight.rows / weight.block_rows,
                                         [](int8_t zero) { return zero == 0; });
}

bool is_float8_rows(const kernels::AoWeight& weight) {
  return weight.codes == kernels::AoCodes::float8_e4m3fn && weight.block == weight.columns;
}

std::vector<float> row_scales(const kernels::AoWeight& weight) {
  std::vector<float> scales(weight.rows);
  kernels::with_type(weight.scale_type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* stored = static_cast<const typename Type::Stored*>(weight.scales);
    for (uint64_t row = 0; row < weight.rows; ++row)
      scales[row] = Type::load(stored, row / weight.block_rows);
  });
  return scales;
}

}  // namespace precis::torchao
