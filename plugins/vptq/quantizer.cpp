#include "plugins/vptq/quantizer.h"

#include <cmath>

#include "plugins/additive_codebooks.h"
#include "plugins/weight_type.h"

namespace precis::vptq {

using sdk::PluginError;

namespace {

// Vectors of the columns, one column after the other, each over its column's root mean square,
// which becomes the scale.
void scale_columns(const void* weight, const Fit& fit) {
  const uint64_t rows = fit.rows(), columns = fit.columns();
  const uint64_t filled = fit.vectors_of_column() * fit.vector();
  kernels::with_type(fit.type, [&](auto tag) {
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
      fit.scales[column] = scale > 0 && std::isfinite(scale) ? scale : 1.0f;
      float* to = fit.points + column * filled;
      for (uint64_t row = 0; row < filled; ++row) {
        const float value =
            row < rows ? Type::load(values, row * columns + column) / fit.scales[column] : 0.0f;
        to[row] = std::isfinite(value) ? value : 0.0f;
      }
    }
  });
}

void store_indices(const Fit& fit, const precis_tensor& part) {
  auto* words = sdk::data<uint32_t>(part);
  std::fill_n(words, part.nbytes / sizeof(uint32_t), 0);
  const Layer& layer = fit.layer;
  const int bits = index_bits("num_centroids", layer.centroids);
  const int all =
      bits + (layer.has_residual() ? index_bits("num_res_centroids", layer.residual) : 0);
  const uint64_t columns = fit.columns(), per_column = fit.vectors_of_column();
  const uint64_t row_words = (columns * static_cast<uint64_t>(all) + 31) / 32;
  for (uint64_t column = 0; column < columns; ++column) {
    for (uint64_t i = 0; i < per_column; ++i) {
      uint32_t index = fit.codes[column * per_column + i];
      if (layer.has_residual())
        index |= static_cast<uint32_t>(fit.codes[fit.vectors() + column * per_column + i]) << bits;
      kernels::put_stream_bits(words + i * row_words, column, all, index);
    }
  }
}

}  // namespace

std::vector<uint64_t> Fit::codewords() const {
  std::vector<uint64_t> counts{static_cast<uint64_t>(layer.centroids)};
  if (layer.has_residual()) counts.push_back(static_cast<uint64_t>(layer.residual));
  return counts;
}

uint64_t fit_bytes(const Layer& layer) {
  const Fit fit{layer, {}, nullptr, nullptr, nullptr, nullptr, nullptr};
  uint64_t centroids = 0;
  for (const uint64_t count : fit.codewords()) centroids += count;
  return ((fit.vectors() + centroids) * fit.vector() + 2 * fit.columns()) * sizeof(float) +
         fit.codewords().size() * fit.vectors() * sizeof(uint16_t);
}

Fit fit_in(const Layer& layer, kernels::WeightType type, void* memory) {
  Fit fit{layer, type, static_cast<float*>(memory), nullptr, nullptr, nullptr, nullptr};
  fit.scales = fit.points + fit.vectors() * fit.vector();
  fit.costs = fit.scales + fit.columns();
  fit.books = fit.costs + fit.columns();
  float* end = fit.books;
  for (const uint64_t count : fit.codewords()) end += count * fit.vector();
  fit.codes = reinterpret_cast<uint16_t*>(end);
  return fit;
}

void find_codebooks(const precis_call& call, const void* weight,
                    const std::vector<double>& importance, Fit& fit) {
  scale_columns(weight, fit);
  for (uint64_t column = 0; column < fit.columns(); ++column) {
    const double cost = importance.empty() ? 1 : std::sqrt(importance[column]);
    fit.costs[column] = static_cast<float>(fit.scales[column] * cost);
  }
  plugins::AdditiveCodebooks books{
      fit.vectors(), fit.vector(), fit.codewords(), fit.points,
      fit.books,     fit.codes,    fit.costs,       fit.vectors_of_column()};
  plugins::find_codebooks(call, fit.type, books);
}

void store(const Fit& fit, const sdk::Parts& parts) {
  std::size_t part = 0;
  store_indices(fit, *parts[part++]);
  kernels::with_type(fit.type, [&](auto tag) {
    using Type = decltype(tag);
    const auto numbers = [&](const float* from, uint64_t count) {
      auto* to = sdk::data<typename Type::Stored>(*parts[part++]);
      for (uint64_t i = 0; i < count; ++i) Type::store(to, i, from == nullptr ? 0 : from[i]);
    };
    const float* book = fit.books;
    for (const uint64_t count : fit.codewords()) {
      numbers(book, count * fit.vector());
      book += count * fit.vector();
    }
    numbers(fit.scales, fit.columns());
    numbers(nullptr, fit.columns());
  });
}

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
  const uint64_t vectors = Fit{layer, {}, nullptr, nullptr, nullptr, nullptr, nullptr}.vectors();
  if (vectors > plugins::kMostDistances / most)
    throw PluginError(PRECIS_UNSUPPORTED, std::to_string(most) + " centroids for " +
                                              std::to_string(vectors) +
                                              " vectors take hours on a CPU; take fewer");
}

uint64_t VptqQuantizer::workspace(const precis_param& param) const {
  return fit_bytes(layer_of(param));
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
  Fit fit = fit_in(layer_of(param), plugins::weight_type(param.dtype), call.workspace);
  find_codebooks(call, sdk::data<const void>(weight), {}, fit);
  store(fit, parts);
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
