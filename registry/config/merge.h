// Whose values win when a checkpoint that is already quantized is loaded with a config of the
// user's.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace precis {

// The config to load the checkpoint with, as merge_quantization_configs of diffusers 0.42 and
// transformers 5.23 (quantizers/auto.py) makes it: the checkpoint's, but for the loading attributes
// of its method, which are the user's. What of the user's config is thereby ignored is a warning.
//
// checkpoint: the quantization_config in the checkpoint's config.json. user: null for none; for
// Python's outcome with every default, since there an attribute that the user left out overrides
// the checkpoint's as well. library: "diffusers", "transformers" or "" (as transformers).
//
// Errors: invalid_argument when a config tells no method, and when the user's is of another method
// (diffusers only warns of that); unsupported when auto-round is asked to load what it cannot.
Result<nlohmann::json> merge_configs(const nlohmann::json& checkpoint, const nlohmann::json& user,
                                     std::string_view library);

}  // namespace precis
