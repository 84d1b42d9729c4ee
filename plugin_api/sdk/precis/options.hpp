// One way to declare the options of a method: the declaration checks values, fills in defaults and
// writes the JSON Schema. The only SDK header that needs nlohmann/json; authors may do without it.
#ifndef PRECIS_SDK_OPTIONS_HPP
#define PRECIS_SDK_OPTIONS_HPP

#include <precis/precis.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"
#include "host.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

using Json = nlohmann::json;

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

// Options that a library keeps in its config and the method itself has no use for: any value, with
// the defaults given.
inline std::vector<Option> carried_options(const Json& defaults) {
  std::vector<Option> options;
  for (const auto& [key, fallback] : defaults.items())
    options.push_back({key, OptionType::any, true, fallback, "carried along for the library", {}});
  return options;
}

// PyTorch's dtypes by name; aliases give the full name ("half": "float16"). Empty: no dtype.
inline std::string torch_dtype(std::string_view name) {
  static const char* const kNames[] = {"float32",
                                       "float64",
                                       "float16",
                                       "bfloat16",
                                       "uint8",
                                       "int8",
                                       "int16",
                                       "int32",
                                       "int64",
                                       "bool",
                                       "complex64",
                                       "complex128",
                                       "uint16",
                                       "uint32",
                                       "uint64",
                                       "float8_e4m3fn",
                                       "float8_e5m2",
                                       "float8_e4m3fnuz",
                                       "float8_e5m2fnuz",
                                       "float8_e8m0fnu",
                                       "float4_e2m1fn_x2",
                                       "qint8",
                                       "quint8",
                                       "qint32",
                                       "complex32"};
  static const std::pair<const char*, const char*> kAliases[] = {
      {"float", "float32"},    {"double", "float64"},     {"half", "float16"},
      {"short", "int16"},      {"int", "int32"},          {"long", "int64"},
      {"cfloat", "complex64"}, {"cdouble", "complex128"}, {"chalf", "complex32"}};
  if (name.substr(0, 6) == "torch.") name.remove_prefix(6);
  for (const char* known : kNames) {
    if (name == known) return known;
  }
  for (const auto& [alias, known] : kAliases) {
    if (name == alias) return known;
  }
  return "";
}

// Python's truth of a JSON value.
inline bool truthy(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return false;
    case Json::value_t::boolean:
      return value.get<bool>();
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return value != 0;
    case Json::value_t::number_float:
      return value.get<double>() != 0;
    default:
      return !value.empty() && !(value.is_string() && value.get_ref<const std::string&>().empty());
  }
}

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

// Edits between two short texts (Levenshtein); for "did you mean".
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
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
}

// The options of a method.
class OptionTable {
 public:
  OptionTable(std::string title, std::vector<Option> options)
      : title_(std::move(title)), options_(std::move(options)) {}

  const std::vector<Option>& options() const { return options_; }

  // The value of every option: the config's or the default. Unknown keys, apart from those in
  // `ignored` and those that begin with '_', are an error, or a warning when lenient.
  Json read(const Json& config, const std::vector<std::string>& ignored, bool lenient) const {
    for (const auto& [key, value] : config.items()) {
      if (known(key) || key.substr(0, 1) == "_" ||
          std::find(ignored.begin(), ignored.end(), key) != ignored.end()) {
        continue;
      }
      const std::string text = title_ + " has no option '" + key + "'" + suggestion(key);
      if (!lenient) throw PluginError(PRECIS_INVALID_ARGUMENT, text);
      Host::get().log(PRECIS_LOG_WARNING, text + "; it is ignored");
    }
    Json values = Json::object();
    for (const Option& option : options_) {
      const auto found = config.find(option.key);
      values[option.key] = found == config.end() ? option.fallback : *found;
    }
    return values;
  }

  void check(const Json& values) const {
    for (const Option& option : options_) check_option(option, values.at(option.key));
  }

  std::string schema() const {
    Json properties = Json::object();
    for (const Option& option : options_) properties[option.key] = property(option);
    return Json{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                {"title", title_},
                {"type", "object"},
                {"properties", properties}}
        .dump();
  }

 private:
  bool known(const std::string& key) const {
    return std::any_of(options_.begin(), options_.end(),
                       [&](const Option& o) { return o.key == key; });
  }

  std::string suggestion(const std::string& key) const {
    const Option* best = nullptr;
    std::size_t distance = key.size() / 2 + 1;
    for (const Option& option : options_) {
      // "compute_dtype" means "bnb_4bit_compute_dtype".
      if (option.key.find(key) != std::string::npos) return "; did you mean '" + option.key + "'?";
      const std::size_t candidate = edit_distance(key, option.key);
      if (candidate < distance) {
        distance = candidate;
        best = &option;
      }
    }
    return best == nullptr ? "" : "; did you mean '" + best->key + "'?";
  }

  static Json property(const Option& option) {
    const char* type = "string";
    switch (option.type) {
      case OptionType::boolean:
        type = "boolean";
        break;
      case OptionType::integer:
        type = "integer";
        break;
      case OptionType::number:
      case OptionType::real:
        type = "number";
        break;
      case OptionType::strings:
        type = "array";
        break;
      default:
        break;
    }
    Json result{{"description", option.description}, {"default", option.fallback}};
    if (option.type != OptionType::any) {
      result["type"] = option.nullable ? Json{type, "null"} : Json(type);
    }
    if (option.type == OptionType::strings) result["items"] = {{"type", "string"}};
    if (!option.allowed.empty()) {
      result["enum"] = option.allowed;
      if (option.nullable) result["enum"].push_back(nullptr);
    }
    return result;
  }

  std::string title_;
  std::vector<Option> options_;
};

// The config of a request as an object. Throws PRECIS_INVALID_TYPE when it is none.
inline Json parse_config(const precis_config& config) {
  const Json parsed = Json::parse(view(config.json), nullptr, false);
  if (!parsed.is_object())
    throw PluginError(PRECIS_INVALID_TYPE, "the quantization config is not an object");
  return parsed;
}
inline bool lenient(const precis_config& config) {
  return (config.flags & PRECIS_CONFIG_LENIENT) != 0;
}
inline bool as_python(const precis_config& config) {
  return (config.flags & PRECIS_CONFIG_PYTHON) != 0;
}

PRECIS_SDK_NAMESPACE_END

#endif
