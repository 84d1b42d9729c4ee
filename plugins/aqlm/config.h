// AqlmConfig of transformers 5.23 and 4.48.
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::aqlm {

struct Config {
  int64_t in_group_size = 8, out_group_size = 1, num_codebooks = 1, nbits_per_codebook = 16;
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::aqlm
