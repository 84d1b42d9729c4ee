// The two configs of quant_method "modelopt": what ModelOpt 0.40 writes for Hugging Face models
// (export/convert_hf_config.py), and diffusers 0.42's NVIDIAModelOptConfig, which quantizes in
// Python.
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::modelopt {

// How one weight is stored; named after ModelOpt's quant_algo.
enum class Algorithm {
  none,
  fp8,         // float8, one scale
  fp8_rows,    // float8, a scale a row
  fp8_blocks,  // float8, a scale a tile of 128 x 128
  int8_rows,   // int8, a scale a row
  nvfp4,       // 4-bit floats, float8 scales in groups of 16, one scale of these
  mxfp4,       // 4-bit floats, a power of two in groups of 32
  unread,      // INT4 with activation-aware scales
};

struct Config {
  bool of_diffusers = false;
  Algorithm algorithm = Algorithm::none;
  std::string algorithm_name;
  // MIXED_PRECISION: of each module.
  std::vector<std::pair<std::string, Algorithm>> modules;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::modelopt
