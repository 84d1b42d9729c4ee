#include "cli/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>

#include "cli/session.h"
#include "core/base/output_file.h"
#include "registry/config/config_string.h"
#include "registry/config/toml.h"

namespace precis::cli {
namespace {

using nlohmann::json;

// False: the value is of another type than the key asks for.
using ReadValue = std::function<bool(const json& value, Recipe& recipe)>;

struct Key {
  const char* type;  // of its value, in words
  ReadValue read;
};

Key text(std::string Recipe::*member) {
  return {"a text", [member](const json& value, Recipe& recipe) {
            if (!value.is_string()) return false;
            recipe.*member = value.get<std::string>();
            return true;
          }};
}

Key truth(bool Recipe::*member) {
  return {"true or false", [member](const json& value, Recipe& recipe) {
            if (!value.is_boolean()) return false;
            recipe.*member = value.get<bool>();
            return true;
          }};
}

bool read_components(const json& value, Recipe& recipe) {
  if (!value.is_object()) return false;
  for (const auto& [name, spec] : value.items()) {
    if (!spec.is_string()) return false;
    recipe.components.emplace_back(name, spec);
  }
  return true;
}

bool read_rules(const json& value, Recipe& recipe) {
  if (!value.is_array()) return false;
  for (const json& rule : value) {
    if (!rule.is_object() || rule.size() != 2 || !rule.value("pattern", json()).is_string() ||
        !rule.value("spec", json()).is_string())
      return false;
    recipe.rules.emplace_back(rule["pattern"], rule["spec"]);
  }
  return true;
}

bool read_skips(const json& value, Recipe& recipe) {
  const auto is_text = [](const json& skip) { return skip.is_string(); };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_text)) return false;
  recipe.skips = value.get<std::vector<std::string>>();
  return true;
}

bool read_threads(const json& value, Recipe& recipe) {
  if (!value.is_number_integer() || value.get<int64_t>() < 0 ||
      value.get<int64_t>() > int64_t{kMostThreads})
    return false;
  recipe.threads = value.get<unsigned>();
  return true;
}

const std::map<std::string, Key>& keys() {
  static const std::map<std::string, Key> table{
      {"type", text(&Recipe::type)},
      {"components", {"a table of texts", read_components}},
      {"rules", {"a list of tables with two texts, 'pattern' and 'spec'", read_rules}},
      {"skips", {"a list of texts", read_skips}},
      {"default_skips", truth(&Recipe::default_skips)},
      {"lenient", truth(&Recipe::lenient)},
      {"allow_requantize", truth(&Recipe::allow_requantize)},
      {"imatrix", text(&Recipe::imatrix)},
      {"variant", text(&Recipe::variant)},
      {"max_shard_size", text(&Recipe::max_shard_size)},
      {"max_memory", text(&Recipe::max_memory)},
      {"threads", {"a number from 0 to 4096", read_threads}}};
  return table;
}

Error unknown_key(const std::string& path, const std::string& key) {
  std::vector<std::string> names;
  std::string list;
  for (const auto& [name, description] : keys()) {
    names.push_back(name);
    list += (list.empty() ? "" : ", ") + name;
  }
  return Error(
      ErrorCode::invalid_argument,
      fmt::format("{}: '{}' is no part of a recipe{}", path, key, did_you_mean(key, names)),
      fmt::format("the parts are {}", list));
}

// A JSON text is a TOML basic string: JSON's escapes are among TOML's, but for "\/", which is never
// written.
std::string quote(const std::string& value) {
  return json(value).dump();
}

}  // namespace

json Recipe::provenance() const {
  json component_specs = json::object(), rule_list = json::array();
  for (const auto& [name, spec] : components) component_specs[name] = spec;
  for (const auto& [pattern, spec] : rules)
    rule_list.push_back({{"pattern", pattern}, {"spec", spec}});
  json document{{"type", type},
                {"components", component_specs},
                {"rules", rule_list},
                {"skips", skips},
                {"default_skips", default_skips}};
  if (lenient) document["lenient"] = true;
  if (allow_requantize) document["allow_requantize"] = true;
  if (!variant.empty()) document["variant"] = variant;
  if (!max_shard_size.empty()) document["max_shard_size"] = max_shard_size;
  return document;
}

Result<Recipe> read_recipe(const std::string& path) {
  PRECIS_ASSIGN(const std::string contents, read_file(path, 16 << 20));
  PRECIS_ASSIGN(const json document, parse_toml(contents, path));
  Recipe recipe;
  for (const auto& [name, value] : document.items()) {
    const auto key = keys().find(name);
    if (key == keys().end()) return unknown_key(path, name);
    if (key->second.read(value, recipe)) continue;
    return Error(ErrorCode::invalid_argument,
                 fmt::format("{}: '{}' must be {}, it is {}", path, name, key->second.type,
                             value.dump(-1, ' ', false, json::error_handler_t::replace)),
                 "`precis plan --emit-recipe FILE` writes a recipe to start from");
  }
  return recipe;
}

std::string recipe_toml(const Recipe& recipe) {
  std::string toml = "# precis quantize PATH -o OUT --recipe THIS_FILE\n";
  const auto put_text = [&](const char* key, const std::string& value) {
    if (!value.empty()) toml += fmt::format("{} = {}\n", key, quote(value));
  };
  put_text("type", recipe.type);
  toml += fmt::format("default_skips = {}\n", recipe.default_skips);
  std::string skips;
  for (const std::string& skip : recipe.skips) skips += (skips.empty() ? "" : ", ") + quote(skip);
  toml += fmt::format("skips = [{}]\n", skips);
  put_text("imatrix", recipe.imatrix);
  put_text("variant", recipe.variant);
  put_text("max_shard_size", recipe.max_shard_size);
  if (recipe.lenient) toml += "lenient = true\n";
  if (recipe.allow_requantize) toml += "allow_requantize = true\n";
  put_text("max_memory", recipe.max_memory);
  if (recipe.threads) toml += fmt::format("threads = {}\n", *recipe.threads);
  // Of two methods for one component the last counts, and a TOML table has a key once.
  std::map<std::string, std::string> components;
  for (const auto& [name, spec] : recipe.components) components[name] = spec;
  if (!components.empty()) toml += "\n[components]\n";
  for (const auto& [name, spec] : components)
    toml += fmt::format("{} = {}\n", quote(name), quote(spec));
  for (const auto& [pattern, spec] : recipe.rules) {
    toml += fmt::format("\n[[rules]]\npattern = {}\nspec = {}\n", quote(pattern), quote(spec));
  }
  return toml;
}

}  // namespace precis::cli
