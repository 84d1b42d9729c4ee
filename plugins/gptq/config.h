// GPTQConfig of transformers 5.23 and 4.48 (utils/quantization_config.py), and the keys that
// GPTQModel and AutoGPTQ write beside it.
#pragma once

#include <precis/weight_quantizer.hpp>

#include "kernels/cpu/gptq/gptq.h"

namespace precis::gptq {

struct Config {
  kernels::GptqFormat format;
  std::string format_name;   // "gptq", "gptq_v2", "gptq_p", or one that precis does not read
  int64_t group_size = 128;  // -1: a whole row
  bool symmetric = true;
  bool columns_in_order_of_activation = false;  // desc_act
  // Of the calibration: the part of the mean that is added to the diagonal of the second moments.
  double damp_percent = 0.1;
  bool groups_in_order_of_activation = true;  // act_group_aware, without desc_act
  bool static_groups = false;
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::gptq
