// BitNetQuantConfig of transformers 5.23 and 4.48 (utils/quantization_config.py).
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::bitnet {

struct Config {
  bool scale_multiplies = false;  // linear_class "autobitlinear"; in "bitlinear" it divides
  bool online = false;            // weights are floats that the model quantizes as it runs
  bool normalizes = false;        // use_rms_norm: a norm before each layer
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::bitnet
