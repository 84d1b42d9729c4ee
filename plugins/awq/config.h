// AwqConfig of transformers 5.23 and 4.48 (utils/quantization_config.py), and AutoAWQ's own keys.
#pragma once

#include <optional>
#include <precis/weight_quantizer.hpp>

#include "kernels/cpu/awq/awq.h"

namespace precis::awq {

struct Config {
  std::optional<kernels::AwqLayout> layout;  // nothing: one that precis does not read
  std::string version;                       // as the config names it
  bool readable = true;                      // 4 bits with zero points
  int64_t group_size = 128;                  // -1: a whole row
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::awq
