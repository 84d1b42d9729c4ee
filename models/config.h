// Values of a config.json by the Python libraries' keys and defaults.
#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace precis::models {

// The value of `key`; `fallback` where the key is missing or null. Error: std::invalid_argument
// naming the key, when the value has another type.
template <typename T>
T config_value(const nlohmann::json& config, const char* key, const T& fallback) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return fallback;
  try {
    return found->get<T>();
  } catch (const nlohmann::json::exception&) {
    throw std::invalid_argument(std::string("config.json: '") + key + "' is " + found->dump() +
                                ", of another type than expected");
  }
}

// Likewise for a number of elements or a width, which is positive and at most 2^24.
inline int64_t config_size(const nlohmann::json& config, const char* key, int64_t fallback) {
  const auto value = config_value<int64_t>(config, key, fallback);
  if (value < 1 || value > (int64_t{1} << 24)) {
    throw std::invalid_argument(std::string("config.json: '") + key + "' is " +
                                std::to_string(value) + "; it must lie in 1 to 16777216");
  }
  return value;
}

}  // namespace precis::models
