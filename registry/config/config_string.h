// Config strings: "nf4", "gguf:q4_k",
// "bitsandbytes_4bit:bnb_4bit_quant_type=nf4,bnb_4bit_use_double_quant=true".
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace precis {

// A config string taken apart. METHOD, METHOD:PRESET, METHOD:KEY=VALUE[,KEY=VALUE...], or one of
// the first two followed by more options: "nf4:bnb_4bit_blocksize=128".
struct ConfigString {
  std::string head;    // before the first ':'
  std::string preset;  // after it, when it is no KEY=VALUE
  std::vector<std::pair<std::string, nlohmann::json>>
      options;  // values as JSON scalars, else texts
};

// Errors: invalid_argument, naming what is wrong where.
Result<ConfigString> parse_config_string(std::string_view text);

// The entry of `known` nearest to `text`, as "; did you mean 'x'?"; empty when none is near.
std::string did_you_mean(std::string_view text, const std::vector<std::string>& known);

}  // namespace precis
