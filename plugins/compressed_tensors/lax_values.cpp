#include "plugins/compressed_tensors/lax_values.h"

#include <cmath>
#include <cstdlib>
#include <optional>

namespace precis::compressed_tensors {

using sdk::Json;
using sdk::PluginError;

namespace {

// A number that is written out as a text.
std::optional<double> parsed(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  const std::string text = value.get<std::string>();
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || end != text.c_str() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

void refuse(const std::string& path, const Json& value, const std::string& rule) {
  throw PluginError(PRECIS_INVALID_ARGUMENT,
                    "'" + path + "' is " + value.dump() + ", it must be " + rule);
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return text;
}

double read_number(const std::string& path, const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (value.is_number()) return value.get<double>();
  if (const auto number = parsed(value)) return *number;
  refuse(path, value, "a number");
}

int64_t read_integer(const std::string& path, const Json& value) {
  if (value.is_number_integer()) {
    if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX)
      refuse(path, value, "a number of 64 bits");
    return value.get<int64_t>();
  }
  const bool numeric = value.is_boolean() || value.is_number() || parsed(value).has_value();
  const double number = numeric ? read_number(path, value) : 0.5;
  if (std::floor(number) != number || std::fabs(number) > 0x1p52)
    refuse(path, value, "a whole number");
  return static_cast<int64_t>(number);
}

bool read_truth(const std::string& path, const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number() && (value == 0 || value == 1)) return value == 1;
  if (value.is_string()) {
    const std::string text = lower(value.get<std::string>());
    for (const char* yes : {"1", "on", "t", "true", "y", "yes"})
      if (text == yes) return true;
    for (const char* no : {"0", "off", "f", "false", "n", "no"})
      if (text == no) return false;
  }
  refuse(path, value, "true or false");
}

std::string read_text(const std::string& path, const Json& value) {
  if (!value.is_string()) refuse(path, value, "a text");
  return value.get<std::string>();
}

std::string read_choice(const std::string& path, const Json& value,
                        const std::vector<std::string>& allowed) {
  if (value.is_string()) {
    for (const std::string& name : allowed)
      if (value == name) return name;
  }
  std::string list;
  for (const std::string& name : allowed) list += (list.empty() ? "" : ", ") + name;
  refuse(path, value, "one of " + list);
}

}  // namespace precis::compressed_tensors
