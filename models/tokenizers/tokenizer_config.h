// Values of tokenizer_config.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace precis::models {

// The text of a special token, which is a string or an object with "content"; `fallback` when it
// is missing.
std::string special_token(const nlohmann::json& config, const char* key,
                          const std::string& fallback);

// model_max_length; 0 when there is none (the libraries write 1e30 then).
int64_t model_max_length(const nlohmann::json& config);

}  // namespace precis::models
