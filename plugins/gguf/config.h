// GGUFQuantizationConfig of diffusers 0.42, and the type that precis writes.
#pragma once

#include <precis/options.hpp>
#include <string>

namespace precis::gguf {

// The config as the codec needs it.
struct Config {
  std::string type;  // block type or mix: "q4_k", "q4_k_m"; empty: only for reading
  std::vector<std::string> skip_modules;
  bool skip_by_leaf = false;  // diffusers 0.33 looked at a path's last segment alone
  sdk::Json normalized;
};

const sdk::OptionTable& options();

// Python's form has compute_dtype alone and refuses every dict that names quant_method.
Config read_config(const precis_config& request);

// The block type of a weight under `type`: mixes give value and down projections more bits. Empty:
// `type` is neither a block type nor a mix.
std::string block_type(const std::string& type, std::string_view param_name);

}  // namespace precis::gguf
