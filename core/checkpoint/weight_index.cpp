#include "core/checkpoint/weight_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "core/format/json_scanner.h"

namespace precis {
namespace {

// A hostile index must not reach files elsewhere.
bool escapes(const std::string& name) {
  const std::filesystem::path path(name);
  if (name.empty() || name.find('\0') != std::string::npos || path.is_absolute()) return true;
  return std::any_of(path.begin(), path.end(),
                     [](const std::filesystem::path& part) { return part == ".."; });
}

}  // namespace

Result<WeightIndex> parse_weight_index(std::string_view text) {
  const auto fail = [](std::string what) {
    return Error(ErrorCode::data_loss, std::move(what), "fetch or write the checkpoint again");
  };
  PRECIS_ASSIGN(const nlohmann::json document, parse_json(text, DuplicateKeys::refuse));
  if (!document.is_object() || !document.contains("weight_map") ||
      !document["weight_map"].is_object() || document["weight_map"].empty()) {
    return fail("has no weight_map, or an empty one");
  }
  WeightIndex index;
  for (const auto& [tensor, file] : document["weight_map"].items()) {
    if (!file.is_string()) return fail(fmt::format("weight_map['{}'] is not a file name", tensor));
    const auto& name = file.get_ref<const std::string&>();
    if (escapes(name)) {
      return fail(fmt::format("weight_map['{}'] names the file '{}' outside of its directory",
                              tensor, name));
    }
    index[name].push_back(tensor);
  }
  return index;
}

}  // namespace precis
