#include "registry/config/merge.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "core/base/log.h"
#include "registry/config/dispatch.h"
#include "registry/config/quant_methods.h"

namespace precis {
namespace {

using nlohmann::json;

// Equal for configs of one Python class. A method that no library knows is a class of its own.
std::string_view class_of(std::string_view key) {
  const QuantMethodFacts* facts = find_quant_method(key);
  return facts == nullptr ? key : facts->class_name;
}

// auto-round's loader also reads gptq and awq checkpoints (AutoRoundConfig.from_dict).
Result<json> read_by_auto_round(const json& checkpoint, const std::string& key) {
  json config = checkpoint;
  if (key == "auto-round") return config;
  if (key != "gptq" && key != "awq") {
    return Error(ErrorCode::unsupported,
                 fmt::format("auto-round cannot load a checkpoint of quant_method '{}'", key),
                 "leave the config out: the checkpoint's own says how to load it");
  }
  config["quant_method"] = "auto-round";
  config["packing_format"] = "auto_round:" + key;
  return config;
}

// Keys of the user's config that are copied. diffusers has them for auto-round alone: every one
// that the checkpoint has too.
std::vector<std::string> overriding_keys(const json& checkpoint, const std::string& key,
                                         const json& user, std::string_view library) {
  std::vector<std::string> keys;
  if (library == "diffusers") {
    if (key != "auto-round") return keys;
    for (const auto& item : user.items()) {
      if (item.key() != "quant_method" && checkpoint.contains(item.key()))
        keys.push_back(item.key());
    }
    return keys;
  }
  const QuantMethodFacts* facts = find_quant_method(key);
  if (facts == nullptr) return keys;
  for (const std::string_view attribute : facts->loading_attributes) {
    if (user.contains(std::string(attribute))) keys.emplace_back(attribute);
  }
  return keys;
}

void warn_of_ignored(const json& merged, const json& user, std::string_view key) {
  std::vector<std::string> ignored;
  for (const auto& [name, value] : user.items()) {
    const auto found = merged.find(name);
    if (name != "quant_method" && found != merged.end() && *found != value) ignored.push_back(name);
  }
  if (ignored.empty()) return;
  logger().warn(
      "the checkpoint is quantized already ({}): its own config is used, and these keys "
      "of the given one are ignored: {}",
      key, fmt::join(ignored, ", "));
}

}  // namespace

Result<json> merge_configs(const json& checkpoint, const json& user, std::string_view library) {
  PRECIS_ASSIGN(std::string key, dispatch_key(checkpoint, {"", true}));
  if (user.is_null()) return checkpoint;
  PRECIS_ASSIGN(const std::string user_key, dispatch_key(user, {"", true}));
  json merged = checkpoint;
  const bool diffusers = library == "diffusers";
  if (!diffusers && user_key == "auto-round") {
    PRECIS_ASSIGN(merged, read_by_auto_round(checkpoint, key));
    key = user_key;
  }
  if (!diffusers && class_of(key) != class_of(user_key)) {
    return Error(ErrorCode::invalid_argument,
                 fmt::format("the checkpoint is quantized with '{}' but the given config is for "
                             "'{}'",
                             key, user_key),
                 "leave the config out, or give one of the checkpoint's method");
  }
  for (const std::string& name : overriding_keys(checkpoint, key, user, library)) {
    if (merged.contains(name) && merged[name] == user[name]) continue;
    if (diffusers) logger().warn("the given '{}' replaces the checkpoint's", name);
    merged[name] = user[name];
  }
  warn_of_ignored(merged, user, key);
  return merged;
}

}  // namespace precis
