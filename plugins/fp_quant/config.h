// FPQuantConfig of transformers 5.23.
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::fp_quant {

struct Config {
  bool exponents = false;  // forward_dtype mxfp4: a power of two for 32 columns; else NVFP4
  bool floats = false;     // pseudoquantization: the rotated weight as numbers
  int64_t rotated = 16;    // hadamard_group_size: columns that are rotated together
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::fp_quant
