// How the Python libraries decide from a list of names which modules stay unquantized. Each library
// and method has its own rule; these are the ones of diffusers 0.42 and transformers 4.48 to 5.23.
#ifndef PRECIS_SDK_MODULE_MATCH_HPP
#define PRECIS_SDK_MODULE_MATCH_HPP

#include <algorithm>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"
#include "tensor.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

using ModuleList = std::vector<std::string>;

inline bool contains(const ModuleList& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

// diffusers' bitsandbytes (and transformers' before 5): the last segment is listed, or an entry is
// the path, or an entry followed by a dot occurs anywhere in it.
inline bool kept_by_leaf_or_segment(std::string_view path, const ModuleList& list) {
  if (contains(list, leaf(path))) return true;
  return std::any_of(list.begin(), list.end(), [&](const std::string& entry) {
    return path == entry || path.find(entry + ".") != std::string_view::npos;
  });
}

// transformers 4 quanto: an entry occurs anywhere in the path.
inline bool kept_by_substring(std::string_view path, const ModuleList& list) {
  return std::any_of(list.begin(), list.end(), [&](const std::string& entry) {
    return path.find(entry) != std::string_view::npos;
  });
}

// transformers 5.23: an entry, read as a regular expression, matches from the start up to the end
// of a segment, or the path ends with its text. Throws PRECIS_INVALID_ARGUMENT for what is no
// regular expression.
inline bool kept_by_pattern(std::string_view path, const ModuleList& list) {
  for (const std::string& entry : list) {
    if (path.size() >= entry.size() && path.substr(path.size() - entry.size()) == entry)
      return true;
    try {
      const std::regex pattern(entry, std::regex::ECMAScript);
      for (std::size_t end = 1; end <= path.size(); ++end) {
        const bool boundary = end == path.size() || path[end] == '.' || path[end - 1] == '.';
        if (boundary && std::regex_match(path.begin(),
                                         path.begin() + static_cast<std::ptrdiff_t>(end), pattern))
          return true;
      }
    } catch (const std::regex_error& error) {
      throw PluginError(PRECIS_INVALID_ARGUMENT,
                        "'" + entry + "' is not a regular expression: " + error.what());
    }
  }
  return false;
}

// diffusers' quanto: the last segment is listed.
inline bool kept_by_leaf(std::string_view path, const ModuleList& list) {
  return contains(list, leaf(path));
}

// diffusers' gguf: some segment is listed.
inline bool kept_by_any_segment(std::string_view path, const ModuleList& list) {
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    if (contains(list, path.substr(begin, end - begin))) return true;
    begin = end + 1;
  }
  return false;
}

PRECIS_SDK_NAMESPACE_END

#endif
