#include "registry/config/config_string.h"

#include <fmt/format.h>

#include <algorithm>

namespace precis {
namespace {

using nlohmann::json;

// Splits at commas that stand outside of brackets and quotes.
std::vector<std::string> split_options(std::string_view text) {
  std::vector<std::string> items(1);
  int depth = 0;
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == '[' || c == '{')) ++depth;
    if (!quoted && (c == ']' || c == '}')) --depth;
    if (c == ',' && depth == 0 && !quoted) {
      items.emplace_back();
    } else {
      items.back() += c;
    }
  }
  return items;
}

json value_of(const std::string& text) {
  if (text == "True" || text == "False") return text == "True";
  if (text == "None") return nullptr;
  json value = json::parse(text, nullptr, false);
  return value.is_discarded() ? json(text) : value;
}

}  // namespace

Result<ConfigString> parse_config_string(std::string_view text) {
  ConfigString result;
  const std::size_t colon = text.find(':');
  result.head = std::string(text.substr(0, colon));
  if (result.head.empty()) {
    return Error(ErrorCode::invalid_argument, fmt::format("'{}' names no method", text),
                 "write METHOD, METHOD:PRESET or METHOD:KEY=VALUE,...; see `precis backends`");
  }
  if (colon == std::string_view::npos) return result;
  for (const std::string& item : split_options(text.substr(colon + 1))) {
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos && result.preset.empty() && result.options.empty() &&
        !item.empty()) {
      result.preset = item;
      continue;
    }
    if (equals == std::string::npos || equals == 0) {
      return Error(ErrorCode::invalid_argument,
                   fmt::format("'{}': '{}' is no KEY=VALUE", text, item));
    }
    result.options.emplace_back(item.substr(0, equals), value_of(item.substr(equals + 1)));
  }
  return result;
}

std::string did_you_mean(std::string_view text, const std::vector<std::string>& known) {
  const auto distance = [](std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= b.size(); ++j) {
        const std::size_t above = row[j];
        row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
        diagonal = above;
      }
    }
    return row[b.size()];
  };
  std::size_t best = std::max<std::size_t>(2, text.size() / 3 + 1);
  std::string answer;
  for (const std::string& candidate : known) {
    const std::size_t d = distance(text, candidate);
    if (d < best) {
      best = d;
      answer = fmt::format("; did you mean '{}'?", candidate);
    }
  }
  return answer;
}

}  // namespace precis
