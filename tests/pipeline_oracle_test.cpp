// What diffusers' PipelineQuantizationConfig accepted, and what each component of a pipeline then
// got, reproduced.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "registry/config/pipeline_config.h"
#include "tests/python_configs.h"

namespace precis {
namespace {

using nlohmann::json;

constexpr PipelineReading kAsPython{true, true};

std::string api_of(const json& test) {
  const std::string api = test["api"];
  return api == "seed-era" ? test["input"].value("api", "") : api;
}

struct Counts {
  std::size_t checked = 0, without_plugin = 0, wider = 0;
};

// The fields as precis has them. False: the mapping holds something that Python refuses for not
// being a config object, and that is precis' way of writing one.
bool translate_fields(json& fields) {
  fields.erase("api");
  auto names = fields.find("components_to_quantize");
  if (names != fields.end() && names->is_object()) *names = (*names)["$tuple"];
  auto mapping = fields.find("quant_mapping");
  if (mapping != fields.end() && mapping->is_object()) {
    for (auto& value : *mapping) {
      if (is_python_config(value)) {
        const std::string library = value["library"];
        value = dict_of_python_config(value);
        value["$library"] = library;
      } else if (!value.is_null()) {
        return false;
      }
    }
  }
  return translate_python_values(fields);
}

// A class's constructor does not need the load flags that a dict does.
Result<json> normalized(json config, const std::string& component_library) {
  const std::string library = config.value("$library", component_library);
  config.erase("$library");
  // GGUFQuantizationConfig itself takes no quant_method.
  if (config["quant_method"] == "gguf" && library == "diffusers")
    return test_resolver(true).normalize(config, library, false);
  return test_resolver(true).normalize(config, library, true);
}

void expect_component(const json& test, const PipelineConfig& config, const std::string& name,
                      const std::string& library, const json& want, Counts& counts) {
  const auto chosen = component_config(config, name);
  if (want.is_null() || want == "not quantized") {
    ++counts.checked;
    ASSERT_TRUE(chosen.ok()) << test["id"] << " " << name << ": " << chosen.error().text();
    EXPECT_FALSE(chosen->has_value()) << test["id"] << " " << name;
    return;
  }
  if (want.contains("error")) {
    ++counts.checked;
    const bool refused = !chosen.ok() || !normalized(**chosen, library).ok();
    EXPECT_TRUE(refused) << test["id"] << " " << name << " " << want.dump();
    return;
  }
  ASSERT_TRUE(chosen.ok()) << test["id"] << " " << name << ": " << chosen.error().text();
  ASSERT_TRUE(chosen->has_value()) << test["id"] << " " << name;
  if (!has_plugin(**chosen)) return void(++counts.without_plugin);
  ++counts.checked;
  EXPECT_EQ((*chosen)->value("$library", library), want["library"]) << test["id"] << " " << name;
  const QuantMethodFacts* facts = find_quant_method(quant_method_of(**chosen));
  ASSERT_NE(facts, nullptr);
  if (facts->name != "gguf") {
    EXPECT_EQ(facts->class_name, want["class"].get<std::string>()) << test["id"] << " " << name;
  }
  if (!want.contains("normalized")) return;
  const auto got = normalized(**chosen, library);
  ASSERT_TRUE(got.ok()) << test["id"] << " " << name << ": " << got.error().text();
  json expected = want["normalized"];
  if (facts->name == "gguf" || !translate_python_values(expected)) return;
  EXPECT_EQ(*got, expected) << test["id"] << " " << name;
}

// Reads the fields; nothing when the case has been dealt with.
std::optional<PipelineConfig> expect_constructed(const json& test, json fields, Counts& counts) {
  if (!translate_fields(fields)) {
    ++counts.wider;
    return std::nullopt;
  }
  const auto config = parse_pipeline_config(fields, kAsPython);
  const json& outcome = test["outcome"];
  if (!outcome.contains("error")) {
    EXPECT_TRUE(config.ok()) << test["id"] << " " << fields.dump() << ": " << config.error().text();
    return config.ok() ? std::optional(*config) : std::nullopt;
  }
  if (!config.ok()) {
    ++counts.checked;
    return std::nullopt;
  }
  return *config;
}

std::string library_of(const std::string& component) {
  return component.starts_with("text_encoder") ? "transformers" : "diffusers";
}

void expect_components(const json& test, const json& fields, Counts& counts) {
  const auto config = expect_constructed(test, fields, counts);
  if (!config) return;
  const json& input = test["input"];
  const json components = test["outcome"].value("components", json());
  // Refused once a component asked for its config.
  if (components.is_null()) {
    ++counts.checked;
    bool refused = false;
    for (const std::string name : {"vae", "text_encoder", "text_encoder_2", "transformer"}) {
      const auto chosen = component_config(*config, name);
      refused = refused || !chosen.ok() ||
                (chosen->has_value() && !normalized(**chosen, library_of(name)).ok());
    }
    EXPECT_TRUE(refused) << test["id"] << " " << test["outcome"].dump();
    return;
  }
  std::map<std::string, std::string> libraries;
  for (const json& pair : input.value("components", json::array()))
    libraries[pair[0]] = pair[1].get<bool>() ? "diffusers" : "transformers";
  for (const auto& [name, want] : components.items()) {
    if (want == "absent" || want == "passed or not a model") continue;
    const std::string library = libraries.contains(name) ? libraries[name] : library_of(name);
    expect_component(test, *config, name, library, want, counts);
  }
}

TEST(PipelineOracle, WhatIsAccepted) {
  Counts counts;
  for_each_config_case([&](const json& test) {
    if (api_of(test) != "pipeline") return;
    // The two classes of torchao still took the same names in 2025; it has no plugin.
    if (test["api"] == "seed-era" && test["input"].value("quant_backend", json()) == "torchao")
      return void(++counts.without_plugin);
    const auto config = expect_constructed(test, test["input"], counts);
    if (!config) return;
    ++counts.checked;
    ASSERT_FALSE(test["outcome"].contains("error")) << test["id"] << " " << test["input"].dump();
    EXPECT_EQ(config->granular, test["outcome"]["is_granular"].get<bool>()) << test["id"];
  });
  fmt::print("pipeline: {} checked, {} read by precis alone\n", counts.checked, counts.wider);
  EXPECT_GE(counts.checked, 44u);
}

TEST(PipelineOracle, WhatEachComponentGets) {
  Counts counts;
  std::size_t dicts = 0;
  for_each_config_case([&](const json& test) {
    if (api_of(test) != "resolve") return;
    const json& input = test["input"];
    const bool walk = input["what"] == "walk";
    if (!walk && input["what"] != "components") return;
    // from_pretrained refuses a dict in place of the object; precis' configs are dicts.
    if (input.value("raw", false)) return void(++dicts);
    const json fields = walk ? input["quantization_config"] : input["pipeline"];
    if (fields.is_null()) return;
    expect_components(test, fields, counts);
  });
  fmt::print("components: {} checked, {} of methods without a plugin, {} read by precis alone\n",
             counts.checked, counts.without_plugin, counts.wider + dicts);
  EXPECT_GE(counts.checked, 390u);
}

}  // namespace
}  // namespace precis
