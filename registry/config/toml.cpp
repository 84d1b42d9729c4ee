#include "registry/config/toml.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
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

// Whether a quote stands where a key or a value may begin; elsewhere it is part of what is no TOML.
bool begins_string(std::string_view text, std::size_t at) {
  if (text[at] != '"' && text[at] != '\'') return false;
  return at == 0 ||
         std::string_view(" \t\r\n=,[{.\xBF").find(text[at - 1]) != std::string_view::npos;
}

// The place behind the TOML string that begins at `at`. A string of one line ends with it at the
// latest.
std::size_t skip_string(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const std::string fence(3, quote);
  const bool multiline = text.substr(at, 3) == fence;
  for (at += multiline ? 3 : 1; at < text.size(); ++at) {
    if (text[at] == '\\' && quote == '"') {
      ++at;
    } else if (multiline && text.substr(at, 3) == fence) {
      // Up to two quotes of the content may stand before the closing three.
      for (at += 3; at < text.size() && text[at] == quote; ++at) {
      }
      return at;
    } else if (!multiline && (text[at] == quote || text[at] == '\n')) {
      return at + 1;
    }
  }
  return text.size();
}

// TOML has characters beyond ASCII in strings and comments alone. Where toml++ 3.3 meets one
// elsewhere its behaviour is undefined (is_non_ascii_horizontal_whitespace), so it is shown none.
Status check_ascii_outside_strings(std::string_view text, const std::string& path) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::size_t at = text.substr(0, 3) == kByteOrderMark ? 3 : 0;
  while (at < text.size()) {
    if (text[at] == '#') {
      at = std::min(text.find('\n', at), text.size());
    } else if (begins_string(text, at)) {
      at = skip_string(text, at);
    } else if (static_cast<unsigned char>(text[at]) >= 0x80) {
      const std::string_view before = text.substr(0, at);
      return Error(ErrorCode::invalid_argument,
                   fmt::format("{}: line {}: a character beyond ASCII stands outside of quotes",
                               path, 1 + std::count(before.begin(), before.end(), '\n')),
                   "put the key or the value in quotes");
    } else {
      ++at;
    }
  }
  return {};
}

}  // namespace

Result<json> parse_toml(std::string_view text, const std::string& path) {
  PRECIS_TRY(check_ascii_outside_strings(text, path));
  try {
    return value_of(toml::parse(text, path));
  } catch (const toml::parse_error& error) {
    return Error(
        ErrorCode::invalid_argument,
        fmt::format("{}: line {}: {}", path, error.source().begin.line, error.description()));
  }
}

}  // namespace precis
