// NunchakuLiteQuantizationConfig of diffusers 0.42.
#pragma once

#include <precis/weight_quantizer.hpp>

namespace precis::nunchaku {

struct Config {
  bool nvfp4 = false;      // of svdq_w4a4; else int4
  int64_t rank = 0;        // of its low-rank part
  sdk::ModuleList svdq;    // its targets
  int64_t awq_group = 64;  // columns of a group of awq_w4a16
  sdk::ModuleList awq;     // its targets
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::nunchaku
