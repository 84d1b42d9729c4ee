#include "plugins/compressed_tensors/storage.h"

namespace precis::compressed_tensors {

using sdk::PartLayout;
using sdk::PluginError;

namespace {

[[noreturn]] void unsupported(const std::string& rule) {
  throw PluginError(PRECIS_UNSUPPORTED, rule);
}

// In the order of the library's list (compressors/format.py).
std::string inferred_format(const QuantizationScheme& scheme) {
  if (!scheme.weights) return "dense";
  const QuantizationArgs& weights = *scheme.weights;
  const auto& inputs = scheme.input_activations;
  if (weights.floating && weights.group_size == 32) {
    if (weights.bits == 4) return "mxfp4-pack-quantized";
    if (weights.bits == 6) return "mxfp6-pack-quantized";
    if (weights.bits == 8 && weights.scale_dtype == "uint8") return "mxfp8-quantized";
  }
  if (weights.floating && weights.bits == 4 && weights.group_size == 16)
    return "nvfp4-pack-quantized";
  if (inputs && !weights.floating) return "int-quantized";
  if (!weights.floating && weights.bits >= 1 && weights.bits <= 8) return "pack-quantized";
  if (inputs) return "float-quantized";
  return "naive-quantized";
}

bool has_packed_zeros(const QuantizationArgs& weights) {
  return weights.strategy == Strategy::group || weights.strategy == Strategy::channel;
}

uint64_t tiles_along(uint64_t size, uint64_t tile) {
  return (size + tile - 1) / tile;
}

kernels::NarrowRows narrow_rows(const Config& config, Storage storage,
                                const QuantizationArgs& weights, uint64_t columns) {
  using kernels::NarrowType;
  kernels::NarrowRows rows{NarrowType::int8, 8, false, columns};
  switch (storage) {
    case Storage::bytes:
    case Storage::mxfp8:
      rows.type = weights.floating ? NarrowType::float8_e4m3fn : NarrowType::int8;
      break;
    case Storage::packed:
      rows.type = NarrowType::packed_int;
      rows.bits = static_cast<int>(weights.bits);
      rows.padded = config.padded_words && 32 % weights.bits != 0;
      break;
    case Storage::nvfp4:
    case Storage::mxfp4:
      rows.type = NarrowType::float4_e2m1;
      break;
    case Storage::mxfp6:
      rows.type = NarrowType::float6_e2m3;
      break;
    case Storage::dense:
    case Storage::unread:
      break;
  }
  return rows;
}

// Whether the arguments say what the format stores.
void check_arguments(Storage storage, const std::string& format, const QuantizationArgs& weights) {
  const auto demand = [&](bool fits, const char* rule) {
    if (!fits) unsupported("format " + format + " stores " + rule);
  };
  const bool integers = !weights.floating && weights.bits >= 1 && weights.bits <= 8;
  switch (storage) {
    case Storage::bytes:
      return demand(integers || (weights.floating && weights.bits == 8),
                    "integers of 1 to 8 bits or float8, by 'num_bits' and 'type'");
    case Storage::packed:
      return demand(integers, "integers of 1 to 8 bits, by 'num_bits' and 'type'");
    case Storage::nvfp4:
      return demand(
          weights.floating && weights.bits == 4 && weights.strategy == Strategy::tensor_group,
          "4-bit floats of strategy tensor_group");
    case Storage::mxfp4:
    case Storage::mxfp6:
    case Storage::mxfp8:
      return demand(weights.floating && weights.group_size == 32 &&
                        weights.bits == (storage == Storage::mxfp4   ? 4
                                         : storage == Storage::mxfp6 ? 6
                                                                     : 8),
                    "floats in groups of 32, of the width in its name");
    case Storage::dense:
    case Storage::unread:
      break;
  }
  unsupported("weights of format " + format +
              " are not decoded; with compressed-tensors, save them as pack-quantized");
}

}  // namespace

std::string format_of(const Config& config, const QuantizationScheme& scheme) {
  if (!scheme.format.empty()) return scheme.format;
  const std::string inferred = inferred_format(scheme);
  const bool given = storage_of(config.format) != Storage::dense && config.groups.size() == 1;
  return given ? config.format : inferred;
}

Storage storage_of(const std::string& format) {
  if (format == "naive-quantized" || format == "int-quantized" || format == "float-quantized")
    return Storage::bytes;
  if (format == "pack-quantized") return Storage::packed;
  if (format == "nvfp4-pack-quantized") return Storage::nvfp4;
  if (format == "mxfp4-pack-quantized") return Storage::mxfp4;
  if (format == "mxfp6-pack-quantized") return Storage::mxfp6;
  if (format == "mxfp8-quantized") return Storage::mxfp8;
  if (format == "marlin-24") return Storage::unread;
  return Storage::dense;
}

StoredShape stored_shape(const Config& config, const QuantizationScheme& scheme,
                         const sdk::Matrix& matrix) {
  const QuantizationArgs& weights = *scheme.weights;
  const std::string format = format_of(config, scheme);
  const Storage storage = storage_of(format);
  check_arguments(storage, format, weights);
  StoredShape shape;
  shape.rows = narrow_rows(config, storage, weights, matrix.columns);
  kernels::ScaleTiles& tiles = shape.tiles;
  tiles.columns = std::max<uint64_t>(matrix.columns, 1);
  switch (weights.strategy) {
    case Strategy::tensor:
      tiles.rows = std::max<uint64_t>(matrix.rows, 1);
      break;
    case Strategy::channel:
      break;
    case Strategy::group:
    case Strategy::tensor_group:
      tiles.columns = static_cast<uint64_t>(weights.group_size);
      if (matrix.columns % tiles.columns != 0)
        unsupported("in_features " + std::to_string(matrix.columns) +
                    " is not a multiple of group_size " + std::to_string(tiles.columns));
      break;
    case Strategy::block:
      tiles.rows = static_cast<uint64_t>(weights.block_rows);
      tiles.columns = static_cast<uint64_t>(weights.block_columns);
      break;
    case Strategy::token:
    case Strategy::attention_head:
      unsupported("strategy token is for activations, not for weights");
  }
  tiles.per_row = tiles_along(matrix.columns, tiles.columns);
  shape.tile_rows = tiles_along(matrix.rows, tiles.rows);
  return shape;
}

PartPlaces part_places(const Config& config, const QuantizationScheme& scheme) {
  const QuantizationArgs& weights = *scheme.weights;
  const Storage storage = storage_of(format_of(config, scheme));
  PartPlaces places;
  int next = 2;
  if (storage == Storage::packed) places.shape = next++;
  if (storage == Storage::nvfp4) places.global_scale = next++;
  if (!weights.symmetric) places.zeros = next++;
  if (weights.reordered_groups) places.group_of = next++;
  return places;
}

std::vector<PartLayout> stored_parts(const Config& config, const QuantizationScheme& scheme,
                                     precis_dtype dtype, const std::vector<int64_t>& shape) {
  const QuantizationArgs& weights = *scheme.weights;
  const sdk::Matrix matrix{static_cast<uint64_t>(shape[0]), static_cast<uint64_t>(shape[1])};
  const StoredShape stored = stored_shape(config, scheme, matrix);
  const Storage storage = storage_of(format_of(config, scheme));
  const auto per_row = static_cast<int64_t>(stored.tiles.per_row);
  const auto tile_rows = static_cast<int64_t>(stored.tile_rows);
  const std::vector<int64_t> scales = weights.strategy == Strategy::tensor
                                          ? std::vector<int64_t>{1}
                                          : std::vector<int64_t>{tile_rows, per_row};
  const auto row_bytes = static_cast<int64_t>(stored.rows.row_bytes());
  const bool exponents =
      storage == Storage::mxfp4 || storage == Storage::mxfp6 || storage == Storage::mxfp8;
  const precis_dtype bytes = weights.floating ? sdk::kFloat8E4M3FN : sdk::kInt8;
  std::vector<PartLayout> parts;
  if (storage == Storage::bytes || storage == Storage::mxfp8)
    parts.push_back({"weight", bytes, shape});
  else if (storage == Storage::packed)
    parts.push_back({"weight_packed", sdk::kInt32, {shape[0], row_bytes / 4}});
  else
    parts.push_back({"weight_packed", sdk::kUInt8, {shape[0], row_bytes}});
  if (exponents)
    parts.push_back({"weight_scale", sdk::kUInt8, scales, false, sdk::kFloat8E8M0FNU});
  else if (storage == Storage::nvfp4)
    parts.push_back({"weight_scale", sdk::kFloat8E4M3FN, scales});
  else
    parts.push_back({"weight_scale", dtype, scales, true});
  if (storage == Storage::packed)
    parts.push_back({"weight_shape", sdk::kInt64, {2}, false, sdk::kInt32});
  if (storage == Storage::nvfp4) parts.push_back({"weight_global_scale", sdk::kFloat32, {1}});
  if (!weights.symmetric) {
    // Versions before 0.10 left packed weights' zero points unpacked.
    const bool packed = storage == Storage::packed && has_packed_zeros(weights);
    const auto each = static_cast<int64_t>(32 / weights.bits);
    const int64_t words =
        stored.rows.padded ? (tile_rows + each - 1) / each : (tile_rows * weights.bits + 31) / 32;
    PartLayout zeros{"weight_zero_point", packed ? sdk::kInt32 : sdk::kInt8,
                     packed ? std::vector<int64_t>{words, per_row} : scales};
    if (packed) {
      zeros.alternative = sdk::kInt8;
      zeros.counted = false;
    }
    parts.push_back(zeros);
  }
  if (weights.reordered_groups)
    parts.push_back({"weight_g_idx", sdk::kInt32, {shape[1]}, false, {}, false, false});
  // Versions before 0.10 stored the zeros of a symmetric weight, too.
  if (weights.symmetric) parts.push_back(sdk::companion("weight_zero_point"));
  for (const char* name : {"input_scale", "input_zero_point", "input_global_scale", "output_scale",
                           "output_zero_point"})
    parts.push_back(sdk::companion(name));
  return parts;
}

void check_scheme_writable(const Config& config, const QuantizationScheme& scheme) {
  const QuantizationArgs& weights = *scheme.weights;
  const std::string format = format_of(config, scheme);
  const Storage storage = storage_of(format);
  if (config.padded_words)
    unsupported("'version' is of a library before 0.18, whose forms are only read; leave it out");
  if (!config.sparsity_format.empty())
    unsupported("sparsity_config: compressed-tensors reads no bitmasks since 0.15");
  for (const auto* args : {&scheme.input_activations, &scheme.output_activations}) {
    if (*args && (*args)->dynamic != Dynamic::yes)
      unsupported("static activations need measured ones; use 'dynamic': true, or no activations");
  }
  if (weights.reordered_groups)
    unsupported("actorder group orders columns by measured activations; use weight or null");
  if (weights.floating && !weights.symmetric)
    unsupported("floating numbers have no zero point: 'symmetric' must be true");
  if (weights.dynamic != Dynamic::no) unsupported("weights are static: 'dynamic' must be false");
  const bool exponents =
      storage == Storage::mxfp4 || storage == Storage::mxfp6 || storage == Storage::mxfp8;
  if (exponents && weights.scale_dtype != "uint8")
    unsupported("format " + format + " needs 'scale_dtype' torch.uint8");
  if (storage == Storage::nvfp4 && weights.scale_dtype != "float8_e4m3fn")
    unsupported("format " + format + " needs 'scale_dtype' torch.float8_e4m3fn");
}

}  // namespace precis::compressed_tensors
