// Mxfp4Config of transformers 5.23 (utils/quantization_config.py).
#pragma once

#include <precis/module_match.hpp>
#include <precis/options.hpp>

namespace precis::mxfp4 {

struct Config {
  sdk::ModuleList kept;  // modules_to_not_convert
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::mxfp4
