// SDNQConfig of sdnq 0.2.8, which diffusers 0.42 builds for quant_method "sdnq".
#pragma once

#include <precis/weight_quantizer.hpp>

#include "plugins/sdnq/codes.h"

namespace precis::sdnq {

// How one module's weight is stored.
struct Scheme {
  std::string dtype;
  Number number;
  bool codebook = false, hadamard = false, matmul = false;
  int64_t rotated = 256;  // hadamard_group_size
};

struct Config {
  // Throws PRECIS_UNSUPPORTED where the config names several dtypes for the module.
  Scheme scheme(const std::string& module) const;

  sdk::Json values;
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::sdnq
