// AutoRoundConfig of transformers 5.23 and diffusers 0.42, and what auto-round 0.16 writes beside
// it (auto_round/inference/convert_model.py).
#pragma once

#include <precis/weight_quantizer.hpp>

#include <regex>

namespace precis::auto_round {

// Which other method's tensors a checkpoint has.
enum class Packing {
  gptq,     // zero points less one
  gptq_v2,  // zero points as they are
  awq,      // AWQ's gemm
  unread,   // floating numbers, or packings of other devices
};

// How one module is quantized.
struct Settings {
  int64_t bits = 4, group_size = 128;
};

struct Config {
  Packing packing = Packing::gptq;
  std::string packing_name;
  Settings settings;
  // Of modules by their paths, or by patterns found anywhere in them.
  std::vector<std::pair<std::string, Settings>> exceptions;
  bool has_rotations = false;  // rotation_config
  sdk::Json normalized;
};

const sdk::OptionTable& options(std::string_view library);

Config read_config(const precis_config& request);

// The exact path tells before patterns. Throws PRECIS_INVALID_ARGUMENT for what is no pattern.
Settings settings_of(const Config& config, std::string_view module);

}  // namespace precis::auto_round
