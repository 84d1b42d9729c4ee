#include "registry/config/toml.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <sstream>

namespace precis {
namespace {

using nlohmann::json;

json value_of(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    json object = json::object();
    for (const auto& [key, value] : *table) object[std::string(key.str())] = value_of(value);
    return object;
  }
  if (const auto* array = node.as_array()) {
    json list = json::array();
    for (const auto& value : *array) list.push_back(value_of(value));
    return list;
  }
  if (node.is_boolean()) return *node.value<bool>();
  if (node.is_integer()) return *node.value<int64_t>();
  if (node.is_floating_point()) return *node.value<double>();
  if (node.is_string()) return *node.value<std::string>();
  std::ostringstream text;
  node.visit([&](const auto& value) { text << value; });
  return text.str();
}

}  // namespace

Result<json> parse_toml(std::string_view text, const std::string& path) {
  try {
    return value_of(toml::parse(text, path));
  } catch (const toml::parse_error& error) {
    return Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: line {}: {}", path, error.source().begin.line, error.description()));
  }
}

}  // namespace precis
