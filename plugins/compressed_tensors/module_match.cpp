#include "plugins/compressed_tensors/module_match.h"

#include <regex>

namespace precis::compressed_tensors {
namespace {

constexpr std::string_view kPattern = "re:";

bool is_pattern(std::string_view entry) {
  return entry.substr(0, kPattern.size()) == kPattern;
}

bool names(std::string_view module, const std::string& entry) {
  if (!is_pattern(entry)) return module == entry;
  try {
    return std::regex_search(module.begin(), module.end(),
                             std::regex(entry.substr(kPattern.size())),
                             std::regex_constants::match_continuous);
  } catch (const std::regex_error&) {
    throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "'" + entry + "' is not a regular expression");
  }
}

bool is_class_of_linear(const std::string& entry) {
  return entry == "Linear" || entry == "Module";
}

}  // namespace

bool matches_any(std::string_view module, const sdk::ModuleList& entries) {
  return std::any_of(entries.begin(), entries.end(), [&](const std::string& entry) {
    return names(module, entry) || is_class_of_linear(entry);
  });
}

const QuantizationScheme* scheme_of(std::string_view module,
                                    const std::vector<ConfigGroup>& groups) {
  struct Match {
    int rank;  // 0: a name, 1: a pattern, 2: a class
    std::string target;
    const QuantizationScheme* scheme;
  };
  const Match* best = nullptr;
  std::vector<Match> matches;
  for (const ConfigGroup& group : groups) {
    for (const std::string& target : group.scheme.targets) {
      const bool pattern = target.find(kPattern) != std::string::npos;
      if (names(module, target))
        matches.push_back({pattern ? 1 : 0, target, &group.scheme});
      else if (is_class_of_linear(target))
        matches.push_back({2, target, &group.scheme});
    }
  }
  // Of one target in several groups the last counts, as in a dict.
  for (const Match& match : matches) {
    const auto key = std::pair(match.rank, std::string_view(match.target));
    if (best == nullptr || key <= std::pair(best->rank, std::string_view(best->target)))
      best = &match;
  }
  return best == nullptr ? nullptr : best->scheme;
}

}  // namespace precis::compressed_tensors
