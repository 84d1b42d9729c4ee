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
  int64_t group = 0;      // group_size; 0: SDNQ chooses, below: a row or the whole weight
  int64_t rank = 0;       // of the low-rank part; 0: there is none

  // Scales of a row, as far as the config tells.
  int64_t groups(int64_t columns) const {
    return group > 0 && columns % group == 0 ? columns / group : 1;
  }
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
