// HqqConfig of transformers 5.23 and 4.48, and hqq's own BaseQuantizeConfig inside of it.
#pragma once

#include <optional>
#include <precis/weight_quantizer.hpp>

namespace precis::hqq {

// "weight_quant_params": how one weight is quantized.
struct Scheme {
  double nbits = 4;         // 1.58 is three levels in codes of 2 bits
  int64_t group_size = 64;  // 0: a whole row, or column with axis 0
  int axis = 1;
  bool optimize = true, round_zero = true, view_as_float = false;

  int levels() const;       // the largest code
  int packed_bits() const;  // of a code: 8, 4, 3, 2 or 1
  std::string packing() const;
};

// Throws PRECIS_UNSUPPORTED for what HQQ has no code for.
void check_nbits(double nbits);

// "self_attn.q_proj" of "model.layers.31.self_attn.q_proj": what transformers calls a linear tag.
std::string linear_tag(std::string_view module);

struct Config {
  // What to do with the modules of a linear tag. Throws PRECIS_UNSUPPORTED when the config says
  // nothing usable about them.
  Scheme scheme(std::string_view module) const;
  // False: a config by linear tags has no entry for the module.
  bool names(std::string_view module) const;

  sdk::Json quant_config;  // one for all, or by linear tag
  bool by_tag = false;
  sdk::SkipList skip;
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

}  // namespace precis::hqq
