// The two configs of quant_method "modelopt": what ModelOpt 0.47 writes for Hugging Face models
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
  int4,        // 4-bit integers, a scale in groups of 128
  int4_fp8,    // the same, rounded to float8 with one scale
  nvfp4,       // 4-bit floats, float8 scales in groups of 16, one scale of these
  nvfp4_fp8,   // the same in groups of 32, for products in float8
  mxfp4,       // 4-bit floats, a power of two in groups of 32
  mxfp8,       // float8, a power of two in groups of 32
  unread,
};

// How the weight of one module is stored.
struct Scheme {
  Algorithm algorithm = Algorithm::none;
  std::string name;         // ModelOpt's
  uint64_t group_size = 0;  // 0: the algorithm's own
};

struct Config {
  bool of_diffusers = false;
  Scheme scheme;
  // MIXED_PRECISION: of each module.
  std::vector<std::pair<std::string, Scheme>> modules;
  sdk::ModuleList ignored;  // shell patterns
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::modelopt
