// TOML as JSON values, so that configs and recipes are read by one set of rules.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace precis {

// path: for messages. Dates become texts. Errors: invalid_argument with the line.
Result<nlohmann::json> parse_toml(std::string_view text, const std::string& path);

}  // namespace precis
