// HiggsConfig of transformers 5.23.
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::higgs {

struct Config {
  int bits = 4;
  int64_t group_size = 256;     // columns of a scale
  int64_t hadamard_size = 512;  // columns rotated together
  // What FLUTE found fastest for each module; its template decides the order of the numbers.
  sdk::Json tune_metadata;
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::higgs
