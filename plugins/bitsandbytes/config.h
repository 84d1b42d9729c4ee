// BitsAndBytesConfig of diffusers 0.42 and transformers 5.23 (identical fields), read and
// normalised.
#pragma once

#include <precis/options.hpp>
#include <string>
#include <vector>

namespace precis::bitsandbytes {

// The config as the codecs need it.
struct Config {
  bool load_in_4bit = false;
  bool load_in_8bit = false;
  std::string quant_type = "fp4";  // "fp4", "nf4"
  bool double_quant = false;
  std::string compute_dtype = "float32";
  std::string quant_storage = "uint8";
  uint64_t blocksize = 64;
  float int8_threshold = 6.0f;  // 0: no column is multiplied as floats
  std::vector<std::string> skip_modules;
  std::string library, library_version;  // whose rules apply
  sdk::Json normalized;
};

const sdk::OptionTable& options();

// Both forms check what Python checks, in its order. four_bit: the method that was asked for by
// name; with it neither load flag needs to be set.
Config read_config(const precis_config& request, bool four_bit);

}  // namespace precis::bitsandbytes
