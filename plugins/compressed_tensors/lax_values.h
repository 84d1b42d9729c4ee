// Values as pydantic reads them when it is not strict: numbers also from texts and truth values.
#pragma once

#include <precis/options.hpp>

namespace precis::compressed_tensors {

// Throws PRECIS_INVALID_ARGUMENT naming the value's path in the config.
[[noreturn]] void refuse(const std::string& path, const sdk::Json& value, const std::string& rule);

int64_t read_integer(const std::string& path, const sdk::Json& value);
double read_number(const std::string& path, const sdk::Json& value);
bool read_truth(const std::string& path, const sdk::Json& value);
std::string read_text(const std::string& path, const sdk::Json& value);
// One of `allowed`.
std::string read_choice(const std::string& path, const sdk::Json& value,
                        const std::vector<std::string>& allowed);
std::string lower(std::string text);

}  // namespace precis::compressed_tensors
