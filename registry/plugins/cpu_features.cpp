#include "registry/plugins/cpu_features.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

namespace precis {

std::optional<std::string> missing_cpu_feature(const std::vector<std::string>& required) {
  if (required.empty()) return std::nullopt;
  std::ifstream file("/proc/cpuinfo");
  std::ostringstream text;
  text << file.rdbuf();
  return missing_cpu_feature(required, text.str());
}

std::optional<std::string> missing_cpu_feature(const std::vector<std::string>& required,
                                               std::string_view cpuinfo) {
  // The first processor's line: the kernel shows every one with the same features.
  std::set<std::string> present;
  std::istringstream lines{std::string(cpuinfo)};
  for (std::string line; present.empty() && std::getline(lines, line);) {
    if (!line.starts_with("flags") && !line.starts_with("Features")) continue;
    std::istringstream words(line.substr(std::min(line.find(':') + 1, line.size())));
    for (std::string word; words >> word;) present.insert(word);
  }
  for (const std::string& feature : required) {
    if (!present.contains(feature)) return feature;
  }
  return std::nullopt;
}

}  // namespace precis
