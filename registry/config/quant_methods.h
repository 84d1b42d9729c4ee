// What is known of the quant_methods of the Python libraries, whether or not a plugin is at hand:
// the one place for such knowledge.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace precis {

// A key of the libraries' registries (diffusers 0.42, transformers 5.23: quantizers/auto.py).
struct QuantMethodFacts {
  std::string_view name;         // as quant_method spells it, with bitsandbytes' suffix
  std::string_view class_name;   // of its config: keys of one class are one method with options
  std::string_view plugin;       // id of the plugin that provides it
  bool diffusers, transformers;  // whose registry has the key
  // Whether the constructors of both libraries' classes take the same names, which
  // PipelineQuantizationConfig demands of a quant_backend.
  bool one_signature;
  // Keys that the user may override when a checkpoint is loaded (transformers'
  // get_loading_attributes).
  std::vector<std::string_view> loading_attributes;
};

// Sorted by name. "bitsandbytes" itself is no key: the load flags complete it.
const std::vector<QuantMethodFacts>& quant_methods();

// Null when no library knows it; "bitsandbytes" gives what both of its keys share.
const QuantMethodFacts* find_quant_method(std::string_view name);

// Names of quant_methods(), and "bitsandbytes".
const std::vector<std::string>& known_quant_methods();

// Whether `library` loads a checkpoint with this config as a quantized one; transformers loads one
// with a quant_method that it does not know as if it had no config (supports_quant_method, which
// diffusers lacks). Errors: invalid_argument when the config tells no method.
Result<bool> supports_quant_method(const nlohmann::json& config, std::string_view library);

}  // namespace precis
