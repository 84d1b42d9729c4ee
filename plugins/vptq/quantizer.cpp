#include "plugins/vptq/quantizer.h"

#include <cmath>

#include "plugins/additive_codebooks.h"
#include "plugins/weight_type.h"

namespace precis::vptq {

using sdk::PluginError;

namespace {

std::vector<uint64_t> codewords_of(const Layer& layer) {
  std::vector<uint64_t> counts{static_cast<uint64_t>(layer.centroids)};
  if (layer.has_residual()) counts.push_back(static_cast<uint64_t>(layer.residual));
  return counts;
}

uint64_t vectors_of(const Layer& layer) {
  return static_cast<uint64_t>((layer.out_features + layer.vector - 1) / layer.vector *
                               layer.in_features);
}

uint64_t codebook_numbers(const Layer& layer) {
  return static_cast<uint64_t>((layer.centroids + std::max<int64_t>(layer.residual, 0)) *
                               layer.vector);
}

// Vectors of the columns, one column after the other, each over its column's root mean square,
// which becomes the scale.
void scale_columns(const Layer& layer, kernels::WeightType type, const void* weight, float* points,
                   float* scales) {
  const auto rows = static_cast<uint64_t>(layer.out_features);
  const auto columns = static_cast<uint64_t>(layer.in_features);
  const uint64_t filled = vectors_of(layer) / columns * static_cast<uint64_t>(layer.vector);
  kernels::with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto* values = static_cast<const typename Type::Stored*>(weight);
    for (uint64_t column = 0; column < columns; ++column) {
      double squares = 0;
      for (uint64_t row = 0; row < rows; ++row) {
        const double value = Type::load(values, row * columns + column);
        squares += value * value;
      }
      const float scale =
          Type::round(static_cast<float>(std::sqrt(squares / static_cast<double>(rows))));
      // A scale of 0 or infinity has no other side.
      scales[column] = scale > 0 && std::isfinite(scale) ? scale : 1.0f;
      float* to = points + column * filled;
      for (uint64_t row = 0; row < filled; ++row) {
        const float value =
            row < rows ? Type::load(values, row * columns + column) / scales[column] : 0.0f;
        to[row] = std::isfinite(value) ? value : 0.0f;
      }
    }
  });
}

void store_indices(const Layer& layer, const uint16_t* codes, const precis_tensor& part) {
  auto* words = sdk::data<uint32_t>(part);
  std::fill_n(words, part.nbytes / sizeof(uint32_t), 0);
  const int bits = index_bits("num_centroids", layer.centroids);
  const int all =
      bits + (layer.has_residual() ? index_bits("num_res_centroids", layer.residual) : 0);
  const auto columns = static_cast<uint64_t>(layer.in_features);
  const uint64_t vectors = vectors_of(layer), per_column = vectors / columns;
  const uint64_t row_words = (columns * static_cast<uint64_t>(all) + 31) / 32;
  for (uint64_t column = 0; column < columns; ++column) {
    for (uint64_t i = 0; i < per_column; ++i) {
      uint32_t index = codes[column * per_column + i];
      if (layer.has_residual())
        index |= static_cast<uint32_t>(codes[vectors + column * per_column + i]) << bits;
      kernels::put_stream_bits(words + i * row_words, column, all, index);
    }
  }
}

}  // namespace

VptqQuantizer::VptqQuantizer(Config config)
    : WeightQuantizer(config.normalized, config.skip), config_(std::move(config)) {}

Layer VptqQuantizer::layer_of(const precis_param& param) const {
  const std::string module(sdk::module_of(sdk::view(param.name)));
  return shaped(config_.layer(module).value_or(config_.written), param);
}

std::vector<sdk::PartLayout> VptqQuantizer::layout(const precis_param& param) const {
  return parts_of(layer_of(param), param.dtype);
}

void VptqQuantizer::check_writable(const precis_param& param) const {
  plugins::weight_type(param.dtype);
  const Layer layer = layer_of(param);
  if (layer.groups != 1 || layer.has_outliers() || layer.perm || !layer.norm)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "groups, outliers and permutations are only read; precis writes one group "
                      "with enable_norm, without enable_perm");
  const uint64_t most = static_cast<uint64_t>(std::max(layer.centroids, layer.residual));
  if (vectors_of(layer) > plugins::kMostDistances / most)
    throw PluginError(PRECIS_UNSUPPORTED, std::to_string(most) + " centroids for " +
                                              std::to_string(vectors_of(layer)) +
                                              " vectors take hours on a CPU; take fewer");
}

uint64_t VptqQuantizer::workspace(const precis_param& param) const {
  const Layer layer = layer_of(param);
  const uint64_t vectors = vectors_of(layer);
  return (vectors * static_cast<uint64_t>(layer.vector) + static_cast<uint64_t>(layer.in_features) +
          codebook_numbers(layer)) *
             sizeof(float) +
         codewords_of(layer).size() * vectors * sizeof(uint16_t);
}

sdk::StoredWeight VptqQuantizer::describe(const sdk::StoredModule& module) const {
  std::optional<Layer> layer = config_.layer(module.name());
  const bool no_entries = config_.layers.empty() && !sdk::truthy(config_.shared);
  if (!layer && no_entries) {
    // What this config has just written, before any config says so.
    layer = config_.written;
    layer->in_features = module.at(kScale, 1).shape[0];
  }
  if (!layer)
    throw PluginError(PRECIS_DATA_LOSS, "config_for_layers has no entry for '" + module.name() +
                                            "', which has '" + module.key(kIndices) + "'");
  const precis_tensor_info& indices = module.at(kIndices, 3);
  const precis_dtype dtype = module.at(kCentroids).dtype;
  const int64_t rows =
      layer->out_features > 0 ? layer->out_features : indices.shape[1] * layer->vector;
  const int64_t columns = layer->group_size < 0
                              ? layer->in_features
                              : layer->groups * layer->group_size + layer->outliers;
  if (rows <= 0 || columns <= 0 || rows > INT32_MAX || columns > INT32_MAX)
    throw PluginError(PRECIS_DATA_LOSS,
                      "the entry of '" + module.name() + "' does not tell the size of its weight");
  return {sdk::is_weight_dtype(dtype) ? dtype : sdk::kFloat16, {rows, columns}};
}

void VptqQuantizer::encode(const precis_call& call, const precis_param& param,
                           const precis_tensor& weight, const sdk::Parts& parts) const {
  const Layer layer = layer_of(param);
  const auto type = plugins::weight_type(param.dtype);
  const auto size = static_cast<uint64_t>(layer.vector);
  const uint64_t vectors = vectors_of(layer);
  auto* points = static_cast<float*>(call.workspace);
  float* scales = points + vectors * size;
  float* books = scales + layer.in_features;
  auto* codes = reinterpret_cast<uint16_t*>(books + codebook_numbers(layer));
  scale_columns(layer, type, sdk::data<const void>(weight), points, scales);
  plugins::AdditiveCodebooks fit{vectors,
                                 size,
                                 codewords_of(layer),
                                 points,
                                 books,
                                 codes,
                                 scales,
                                 vectors / static_cast<uint64_t>(layer.in_features)};
  plugins::find_codebooks(call, type, fit);
  std::size_t part = 0;
  store_indices(layer, codes, *parts[part++]);
  kernels::with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    const auto store = [&](const float* from, uint64_t count) {
      auto* to = sdk::data<typename Type::Stored>(*parts[part++]);
      for (uint64_t i = 0; i < count; ++i) Type::store(to, i, from == nullptr ? 0 : from[i]);
    };
    const float* book = books;
    for (const uint64_t count : fit.codewords) {
      store(book, count * size);
      book += count * size;
    }
    store(scales, static_cast<uint64_t>(layer.in_features));
    store(nullptr, static_cast<uint64_t>(layer.in_features));
  });
}

void VptqQuantizer::decode(const precis_call&, const precis_param& param,
                           const sdk::ConstParts& parts, sdk::RowRange rows,
                           const precis_tensor& out) const {
  const Stored stored = stored_weight(layer_of(param), parts, rows);
  kernels::vptq_kernels(kernels::current_isa())
      .dequantize(stored.weight, rows.begin, rows.end, plugins::weight_type(out.view.dtype),
                  sdk::data<void>(out));
}

std::string VptqQuantizer::config(const precis_component& component) const {
  sdk::Json object = sdk::Json::parse(WeightQuantizer::config(component));
  for (uint64_t i = 0; i < component.quantized_count; ++i) {
    const precis_param& param = *component.quantized[i];
    object["config_for_layers"][std::string(sdk::module_of(sdk::view(param.name)))] =
        entry_of(layer_of(param));
  }
  return object.dump();
}

}  // namespace precis::vptq
