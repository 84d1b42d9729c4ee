// One way to declare the options of a method: the declaration checks values, fills in defaults and
// writes the JSON Schema. This header needs nlohmann/json; authors may do without it.
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
#include "option.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

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
