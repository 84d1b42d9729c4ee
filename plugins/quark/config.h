// The quantization_config that AMD Quark 0.13 exports (torch/quantization/config/config.py), as
// transformers 5.23's QuarkConfig takes it.
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::quark {

// What Quark calls the quantization of a tensor.
struct TensorConfig {
  std::string dtype;         // "fp8_e4m3", "int8", "fp4" ...; empty: not quantized
  std::string scheme;        // "per_tensor", "per_channel", "per_group"
  std::string scale_format;  // "e8m0", or of the scales' own dtype
  std::string scale_mode;    // how an e8m0 scale is rounded: "even", "floor", "ceil"
  int64_t axis = 0, group_size = 0;
  bool symmetric = true;
  bool in_order = false;  // packed integers stand in order (pack_method "order")
};

struct Config {
  TensorConfig weights;
  // layer_quant_config: shell patterns of modules' paths; the first that fits.
  std::vector<std::pair<std::string, TensorConfig>> exceptions;
  sdk::ModuleList excluded;  // shell patterns
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

// The config with every key that Quark's own loader looks up.
sdk::Json complete(sdk::Json config);

const TensorConfig& config_of(const Config& config, std::string_view module);

}  // namespace precis::quark
