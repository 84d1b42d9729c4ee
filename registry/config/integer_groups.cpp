#include "registry/config/integer_groups.h"

#include <string>

namespace precis {

using nlohmann::json;

namespace {

std::optional<int64_t> integer_at(const json& object, const char* key) {
  const json value = object.value(key, json());
  return value.is_number_integer() ? std::optional(value.get<int64_t>()) : std::nullopt;
}

std::optional<bool> flag_at(const json& object, const char* key) {
  const json value = object.value(key, json());
  return value.is_boolean() ? std::optional(value.get<bool>()) : std::nullopt;
}

std::string method_of(const json& config) {
  const json name = config.value("quant_method", json());
  return name.is_string() ? name.get<std::string>() : std::string();
}

IntegerGroups groups_of_weights(const json& weights) {
  IntegerGroups groups;
  if (!weights.is_object() || weights.value("type", json("int")) != "int") return groups;
  groups.bits = integer_at(weights, "num_bits");
  groups.group_size = integer_at(weights, "group_size");
  if (weights.value("strategy", json()) == "channel") groups.group_size = -1;
  groups.symmetric = flag_at(weights, "symmetric").value_or(true);
  return groups;
}

bool same(const IntegerGroups& a, const IntegerGroups& b) {
  return a.bits == b.bits && a.group_size == b.group_size && a.symmetric == b.symmetric;
}

IntegerGroups groups_of_all(const json& config_groups) {
  IntegerGroups all;
  if (!config_groups.is_object()) return all;
  bool first = true;
  for (const json& group : config_groups) {
    if (!group.is_object()) return {};
    const IntegerGroups own = groups_of_weights(group.value("weights", json()));
    if (!first && !same(own, all)) return {};
    all = own;
    first = false;
  }
  return all;
}

template <typename Value>
void fill(json& config, const char* key, const std::optional<Value>& value) {
  if (value && !config.contains(key)) config[key] = *value;
}

json weights_of(const IntegerGroups& groups) {
  json weights{{"num_bits", *groups.bits},
               {"type", "int"},
               {"symmetric", groups.symmetric.value_or(true)},
               {"strategy", *groups.group_size > 0 ? "group" : "channel"}};
  if (*groups.group_size > 0) weights["group_size"] = *groups.group_size;
  return weights;
}

}  // namespace

IntegerGroups integer_groups(const json& config) {
  if (!config.is_object()) return {};
  const std::string method = method_of(config);
  if (method == "compressed-tensors") {
    IntegerGroups groups = groups_of_all(config.value("config_groups", json()));
    groups.cache = config.value("kv_cache_scheme", json());
    return groups;
  }
  if (method != "gptq" && method != "awq" && method != "auto-round") return {};
  IntegerGroups groups{integer_at(config, "bits"), integer_at(config, "group_size"),
                       flag_at(config, "sym"), flag_at(config, "desc_act"), nullptr};
  if (method != "awq") return groups;
  if (!groups.bits) groups.bits = integer_at(config, "w_bit");
  if (!groups.group_size) groups.group_size = integer_at(config, "q_group_size");
  groups.symmetric = !flag_at(config, "zero_point").value_or(true);
  return groups;
}

json with_integer_groups(json config, const IntegerGroups& groups) {
  const std::string method = method_of(config);
  if (method == "gptq") {
    fill(config, "bits", groups.bits);
    fill(config, "group_size", groups.group_size);
    fill(config, "sym", groups.symmetric);
    fill(config, "desc_act", groups.ordered);
  } else if (method == "awq") {
    // Always with zero points, which a symmetric weight has as well.
    fill(config, "group_size", groups.group_size);
  } else if (method == "compressed-tensors") {
    if (!config.contains("config_groups") && groups.bits && groups.group_size)
      config["config_groups"] = {
          {"group_0", {{"targets", {"Linear"}}, {"weights", weights_of(groups)}}}};
    if (!config.contains("kv_cache_scheme") && !groups.cache.is_null())
      config["kv_cache_scheme"] = groups.cache;
  }
  return config;
}

}  // namespace precis
