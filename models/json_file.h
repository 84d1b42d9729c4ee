// JSON as Python writes it.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/base/result.h"

namespace precis::models {

// The object of a file. Python's NaN, Infinity and -Infinity, which schedulers store and JSON does
// not know, become null. Errors: io and data_loss, naming the file.
Result<nlohmann::json> read_json_file(const std::filesystem::path& path);

}  // namespace precis::models
