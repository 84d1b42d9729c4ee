// QuantoConfig of diffusers 0.42 (weights_dtype) and transformers 5.23 (weights, activations).
#pragma once

#include <precis/options.hpp>
#include <string>
#include <vector>

namespace precis::quanto {

// The config as the codec needs it.
struct Config {
  std::string weights = "int8";  // "int8", "int4", "int2", "float8", "float8_e5m2"
  std::vector<std::string> skip_modules;
  std::string library;
  std::string library_version;
  sdk::Json normalized;

  int bits() const { return weights == "int4" ? 4 : weights == "int2" ? 2 : 8; }
};

// The options as `library` has them; empty: both spellings.
const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::quanto
