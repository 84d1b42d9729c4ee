// CompressedTensorsConfig of transformers 5.23 and 4.48 (utils/quantization_config.py), and the
// QuantizationConfig of compressed-tensors within it (quantization/quant_config.py).
#pragma once

#include <precis/weight_quantizer.hpp>

#include "plugins/compressed_tensors/scheme.h"

namespace precis::compressed_tensors {

struct ConfigGroup {
  std::string name;
  QuantizationScheme scheme;
};

struct Config {
  std::vector<ConfigGroup> groups;
  std::string format;  // "pack-quantized" ...; "dense" and the like: by each group
  // Written before compressed-tensors 0.18: 32 / bits whole numbers a word.
  bool padded_words = false;
  std::string sparsity_format;  // of sparsity_config: "sparse-24-bitmask" ...; empty: none
  sdk::ModuleList sparsity_targets, sparsity_ignore;  // no targets: all
  bool has_transforms = false;                        // transform_config
  bool has_kv_cache_scheme = false;
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::compressed_tensors
