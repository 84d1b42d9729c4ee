// Python values in the JSON of torchao's config objects: {"_type": class, "_data": value}.
#pragma once

#include <precis/options.hpp>

namespace precis::torchao {

inline sdk::Json dtype_value(const std::string& name) {
  return {{"_type", "torch.dtype"}, {"_data", name}};
}
inline sdk::Json enum_object(const char* type, const char* name) {
  return {{"_type", type}, {"_data", name}};
}
inline sdk::Json dataclass(const char* type, sdk::Json data) {
  return {{"_type", type}, {"_version", 1}, {"_data", std::move(data)}};
}

inline bool is_typed(const sdk::Json& value) {
  return value.is_object() && value.contains("_type") && value.contains("_data");
}

// The member's name of an enumeration, which Python also takes as its lower-case text, or a
// dtype's name. Empty for other values.
inline std::string enum_value(const sdk::Json& value) {
  const sdk::Json& data = is_typed(value) ? value["_data"] : value;
  if (!data.is_string()) return "";
  std::string name = data.get<std::string>();
  if (is_typed(value)) return name;
  for (char& c : name) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return name;
}

}  // namespace precis::torchao
