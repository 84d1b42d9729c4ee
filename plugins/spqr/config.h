// SpQRConfig of transformers 5.23.
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::spqr {

struct Config {
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::spqr
