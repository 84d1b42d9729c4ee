// TorchAoConfig of diffusers 0.42 and transformers 5.23, and the names that diffusers 0.33 and
// transformers 4.48 have in place of config objects.
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::torchao {

struct Config {
  sdk::Json ao_config;  // a torchao config object, normalised
  bool embeddings = false;
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::torchao
