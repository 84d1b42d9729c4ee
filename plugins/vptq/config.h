// VptqConfig and VptqLayerConfig of transformers 5.23 and 4.48.
#pragma once

#include <optional>
#include <precis/weight_quantizer.hpp>

namespace precis::vptq {

// How one module's weight is stored.
struct Layer {
  int64_t in_features = -1, out_features = -1;
  int64_t vector = 8, centroids = 256, residual = -1;  // residual: centroids; below 1: none
  int64_t outlier_vector = -1, outlier_centroids = -1, outliers = 0;
  int64_t groups = 1, group_size = -1;
  bool norm = true, perm = true;

  bool has_residual() const { return residual > 0; }
  bool has_outliers() const { return outlier_vector > 1 && outlier_centroids > 0; }
};

struct Config {
  // What the config says of a module; nothing: it has no entry. Throws PRECIS_INVALID_TYPE or
  // PRECIS_INVALID_ARGUMENT for an entry that cannot be read.
  std::optional<Layer> layer(const std::string& module) const;

  sdk::Json layers, shared;  // config_for_layers, shared_layer_config
  // Of weights that are quantized here and have no entry.
  Layer written;
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

// The entry of config_for_layers that stands for `layer`.
sdk::Json entry_of(const Layer& layer);

}  // namespace precis::vptq
