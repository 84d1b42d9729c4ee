// Config objects of the Python libraries, as the recorded cases write them down
// ({"library", "class", "kwargs"}), as dicts of precis.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "registry/config/quant_methods.h"
#include "tests/method/config_cases.h"
#include "tests/method/method_test.h"

namespace precis {

inline bool is_python_config(const nlohmann::json& value) {
  return value.is_object() && value.contains("class") && value.contains("kwargs");
}

// Null for null.
inline nlohmann::json dict_of_python_config(const nlohmann::json& object) {
  if (object.is_null()) return nullptr;
  nlohmann::json config = object["kwargs"];
  const std::string name = object["class"];
  config["quant_method"] = name == "GGUFQuantizationConfig" ? "gguf" : name;
  for (const QuantMethodFacts& facts : quant_methods()) {
    if (facts.class_name != name) continue;
    config["quant_method"] = facts.name;
    break;
  }
  // Its dict has none of the constructor's arguments; precis takes both forms.
  if (name == "HqqConfig") {
    const auto dict = test_resolver(true).normalize(config, "transformers", false);
    if (dict.ok()) return *dict;
  }
  return config;
}

// Whether a plugin of this build reads the config, or no library knows its method.
inline bool has_plugin(const nlohmann::json& config) {
  const std::string key = quant_method_of(config);
  if (key.empty() || find_quant_method(key) == nullptr) return true;
  for (const Manifest* manifest : test_resolver(true).ready()) {
    for (const QuantMethodEntry& entry : manifest->quant_methods) {
      if (entry.name == key) return true;
    }
  }
  return false;
}

}  // namespace precis
