#include "plugins/vptq/stored.h"

#include <algorithm>
#include <bit>

#include "plugins/weight_type.h"

namespace precis::vptq {

using sdk::PluginError;

namespace {

[[noreturn]] void unsupported(const std::string& text) {
  throw PluginError(PRECIS_UNSUPPORTED, text);
}

int64_t pieces(int64_t count, int64_t size) {
  return (count + size - 1) / size;
}

void check_range(const char* what, int64_t value, int64_t least, int64_t most) {
  if (value < least || value > most)
    unsupported("'" + std::string(what) + "' is " + std::to_string(value) + ", precis reads " +
                std::to_string(least) + " to " + std::to_string(most));
}

// The stored place of each column, from the column of each place.
std::vector<uint32_t> inverse(const uint16_t* columns, uint64_t count) {
  constexpr uint32_t kNone = ~uint32_t{0};
  std::vector<uint32_t> places(count, kNone);
  for (uint32_t place = 0; place < count; ++place) {
    if (columns[place] >= count || places[columns[place]] != kNone)
      throw PluginError(PRECIS_DATA_LOSS, "'perm' is no permutation of the columns");
    places[columns[place]] = place;
  }
  return places;
}

}  // namespace

int index_bits(const char* what, int64_t centroids) {
  const auto count = static_cast<uint64_t>(centroids);
  if (centroids < 2 || centroids > 65536 || !std::has_single_bit(count))
    unsupported("'" + std::string(what) + "' is " + std::to_string(centroids) +
                ", it must be a power of two from 2 to 65536");
  return std::countr_zero(count);
}

Layer shaped(Layer layer, const precis_param& param) {
  if (param.ndim != 2 || param.shape[0] <= 0 || param.shape[1] <= 0)
    unsupported("vptq stores matrices only");
  layer.out_features = param.shape[0];
  layer.in_features = param.shape[1];
  check_range("vector_lens[1]", layer.vector, 1, 256);
  index_bits("num_centroids[1]", layer.centroids);
  if (layer.has_residual()) index_bits("num_res_centroids[1]", layer.residual);
  check_range("group_num", layer.groups, 1, layer.in_features);
  check_range("outlier_size", layer.outliers, 0, layer.in_features);
  if (layer.has_outliers()) {
    check_range("vector_lens[0]", layer.outlier_vector, 2, 256);
    check_range("num_centroids[0]", layer.outlier_centroids, 1, 65536);
  }
  const int64_t grouped = layer.in_features - layer.outliers;
  if (layer.group_size < 0 && grouped % layer.groups == 0)
    layer.group_size = grouped / layer.groups;
  if (layer.group_size < 0 || layer.group_size > layer.in_features ||
      layer.group_size * layer.groups != grouped)
    unsupported(std::to_string(layer.groups) + " groups of " + std::to_string(layer.group_size) +
                " columns and " + std::to_string(layer.outliers) + " outliers are not the " +
                std::to_string(layer.in_features) + " columns of the weight");
  if (layer.perm) check_range("in_features", layer.in_features, 1, 65536);
  return layer;
}

std::vector<sdk::PartLayout> parts_of(const Layer& layer, precis_dtype dtype) {
  const int bits = index_bits("num_centroids[1]", layer.centroids) +
                   (layer.has_residual() ? index_bits("num_res_centroids[1]", layer.residual) : 0);
  const int64_t words = pieces(layer.group_size * bits, 32);
  std::vector<sdk::PartLayout> parts{
      {kIndices, sdk::kInt32, {layer.groups, pieces(layer.out_features, layer.vector), words}},
      {kCentroids, dtype, {layer.groups, layer.centroids * layer.vector}, true}};
  if (layer.has_residual())
    parts.push_back({kResidual, dtype, {layer.groups, layer.residual * layer.vector}, true});
  if (layer.norm) {
    parts.push_back({kScale, dtype, {layer.in_features}, true});
    parts.push_back({kBias, dtype, {layer.in_features}, true});
  }
  if (layer.perm) parts.push_back({kPerm, sdk::kInt16, {layer.in_features}});
  if (layer.has_outliers()) {
    parts.push_back({kOutlierIndices,
                     sdk::kInt16,
                     {1, pieces(layer.out_features, layer.outlier_vector), layer.outliers},
                     false,
                     sdk::kFloat16});
    parts.push_back(
        {kOutlierCentroids, dtype, {1, layer.outlier_centroids * layer.outlier_vector}, true});
  }
  return parts;
}

Stored stored_weight(const Layer& layer, const sdk::ConstParts& parts, sdk::RowRange rows) {
  std::size_t at = 0;
  const auto next = [&]() -> const precis_tensor& { return *parts.at(at++); };
  const precis_dtype dtype = parts.at(1)->view.dtype;
  if (!sdk::is_weight_dtype(dtype))
    throw PluginError(PRECIS_DATA_LOSS, "'centroids.weight' must be float32, float16 or bfloat16");
  const auto floats = [&]() -> const void* {
    const precis_tensor& part = next();
    if (!sdk::same(part.view.dtype, dtype))
      throw PluginError(PRECIS_DATA_LOSS, "centroids, scales and biases must be of one dtype");
    return sdk::data<const void>(part);
  };
  Stored stored{};
  kernels::VptqWeight& weight = stored.weight;
  weight.rows = static_cast<uint64_t>(layer.out_features);
  weight.columns = static_cast<uint64_t>(layer.in_features);
  weight.type = plugins::weight_type(dtype);
  weight.vector = static_cast<uint64_t>(layer.vector);
  weight.groups = static_cast<uint64_t>(layer.groups);
  weight.group_size = static_cast<uint64_t>(layer.group_size);
  weight.bits = index_bits("num_centroids[1]", layer.centroids);
  weight.indices = sdk::data<const uint32_t>(next());
  weight.centroids = floats();
  if (layer.has_residual()) {
    weight.residual_bits = index_bits("num_res_centroids[1]", layer.residual);
    weight.residual = floats();
  }
  if (layer.norm) {
    weight.scales = floats();
    weight.biases = floats();
  }
  if (layer.perm) {
    stored.places = inverse(sdk::data<const uint16_t>(next()), weight.columns);
    weight.places = stored.places.data();
  }
  if (layer.has_outliers()) {
    weight.outliers = static_cast<uint64_t>(layer.outliers);
    weight.outlier_vector = static_cast<uint64_t>(layer.outlier_vector);
    weight.outlier_indices = sdk::data<const uint16_t>(next());
    weight.outlier_centroids = floats();
    const uint64_t first = rows.begin / weight.outlier_vector;
    const uint64_t last = (rows.end + weight.outlier_vector - 1) / weight.outlier_vector;
    const bool known = std::all_of(weight.outlier_indices + first * weight.outliers,
                                   weight.outlier_indices + last * weight.outliers,
                                   [&](uint16_t index) { return index < layer.outlier_centroids; });
    if (!known) throw PluginError(PRECIS_DATA_LOSS, "'outlier_indices' names no centroid");
  }
  return stored;
}

}  // namespace precis::vptq
