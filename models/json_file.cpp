#include "models/json_file.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "core/base/output_file.h"

namespace precis::models {
namespace {

constexpr uint64_t kLargest = 64u << 20;  // a vocabulary takes a few MB

std::string without_python_numbers(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\' && i + 1 < text.size()) {
      result += text[i++];
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted) {
      bool replaced = false;
      for (const std::string_view word : {"-Infinity", "Infinity", "NaN"}) {
        if (!text.substr(i).starts_with(word)) continue;
        result += "null";
        i += word.size() - 1;
        replaced = true;
        break;
      }
      if (replaced) continue;
    }
    result += text[i];
  }
  return result;
}

}  // namespace

Result<nlohmann::json> read_json_file(const std::filesystem::path& path) {
  PRECIS_ASSIGN(const std::string text, read_file(path, kLargest));
  auto document = nlohmann::json::parse(without_python_numbers(text), nullptr,
                                        /*allow_exceptions=*/false);
  if (!document.is_object()) {
    return Error(ErrorCode::data_loss, fmt::format("{}: is not a JSON object", path.string()));
  }
  return document;
}

}  // namespace precis::models
