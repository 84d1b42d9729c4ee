// One option of a method: what it is called, what its value may be.
#ifndef PRECIS_SDK_OPTION_HPP
#define PRECIS_SDK_OPTION_HPP

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"
#include "python_values.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

// What a value may be. `number` takes 6.0 but not 6, as a Python float does; `real` takes both.
enum class OptionType { boolean, integer, number, real, string, strings, dtype, any };

struct Option {
  std::string key;
  OptionType type;
  bool nullable;
  Json fallback;  // the value when the key is absent
  std::string description;
  std::vector<std::string> allowed;  // of a string; empty: any
};

inline std::string type_text(OptionType type) {
  switch (type) {
    case OptionType::boolean:
      return "true or false";
    case OptionType::integer:
      return "a whole number";
    case OptionType::number:
      return "a float (write 6.0, not 6)";
    case OptionType::real:
      return "a number";
    case OptionType::string:
      return "a text";
    case OptionType::strings:
      return "a list of texts";
    case OptionType::dtype:
      return "the name of a torch dtype";
    case OptionType::any:
      break;
  }
  return "any value";
}

inline bool fits(const Json& value, OptionType type) {
  switch (type) {
    case OptionType::boolean:
      return value.is_boolean();
    case OptionType::integer:
      return value.is_number_integer();
    case OptionType::number:
      return value.is_number_float();
    case OptionType::real:
      return value.is_number();
    case OptionType::string:
    case OptionType::dtype:
      return value.is_string();
    case OptionType::strings:
      return value.is_array();
    case OptionType::any:
      break;
  }
  return true;
}

// Checks one value against its declaration. Throws PRECIS_INVALID_TYPE or PRECIS_INVALID_ARGUMENT.
inline void check_option(const Option& option, const Json& value) {
  if (value.is_null() && option.nullable) return;
  if (!fits(value, option.type)) {
    throw PluginError(PRECIS_INVALID_TYPE, "'" + option.key + "' is " + value.dump() +
                                               ", it must be " + type_text(option.type) +
                                               (option.nullable ? " or null" : ""));
  }
  if (option.type == OptionType::dtype && torch_dtype(value.get<std::string>()).empty()) {
    throw PluginError(PRECIS_INVALID_ARGUMENT,
                      "'" + option.key + "': torch has no dtype " + value.dump());
  }
  if (option.allowed.empty() || !value.is_string()) return;
  if (std::find(option.allowed.begin(), option.allowed.end(), value.get<std::string>()) !=
      option.allowed.end())
    return;
  std::string list;
  for (const std::string& name : option.allowed) list += (list.empty() ? "" : ", ") + name;
  throw PluginError(PRECIS_INVALID_ARGUMENT,
                    "'" + option.key + "' is " + value.dump() + ", it must be one of " + list);
}

// Options that a library keeps in its config and the method itself has no use for: any value, with
// the defaults given.
inline std::vector<Option> carried_options(const Json& defaults) {
  std::vector<Option> options;
  for (const auto& [key, fallback] : defaults.items())
    options.push_back({key, OptionType::any, true, fallback, "carried along for the library", {}});
  return options;
}

PRECIS_SDK_NAMESPACE_END

#endif
