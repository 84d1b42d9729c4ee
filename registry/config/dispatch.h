// Which plugin's method a quantization_config is for.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "registry/config/quant_methods.h"
#include "registry/plugins/manifest.h"

namespace precis {

// A method of a plugin, and the config it is to be made with.
struct MethodChoice {
  const Manifest* manifest = nullptr;
  std::string method;     // id in the plugin's factory
  nlohmann::json config;  // quantization_config
};

struct DispatchOptions {
  std::string library;   // "diffusers", "transformers" or "": any
  bool lenient = false;  // what Python does silently is a warning
};

// The key under which diffusers 0.42 and transformers 5.23 (identical rules, quantizers/auto.py
// from_dict) look a config up: quant_method, or "bitsandbytes_4bit"/"_8bit" by the load flags.
// Errors: invalid_argument; precis refuses flags that contradict quant_method, or are missing
// where it ends in _4bit or _8bit, unless lenient.
Result<std::string> dispatch_key(const nlohmann::json& config, const DispatchOptions& options);

// The method for a quantization_config. Lenient: bitsandbytes without a true load flag is 4-bit,
// whatever quant_method's suffix (from_config of both libraries). Errors: as dispatch_key; plugin
// when no plugin or more than one plugin reads it.
Result<MethodChoice> dispatch(const nlohmann::json& config,
                              const std::vector<const Manifest*>& plugins,
                              const DispatchOptions& options);

// The method for a config string. An empty manifest in the answer means "keep". Errors:
// invalid_argument for an unknown or ambiguous name, plugin for a known quant_method without a
// plugin.
Result<MethodChoice> dispatch_string(std::string_view text,
                                     const std::vector<const Manifest*>& plugins,
                                     const DispatchOptions& options);

}  // namespace precis
