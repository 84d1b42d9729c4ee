// What the Python libraries did with a method's config dicts and lists of modules not to convert,
// reproduced through its plugin.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/method/config_cases.h"
#include "tests/method/method_test.h"

namespace precis {
namespace {

using nlohmann::json;

const Manifest& manifest() {
  for (const Manifest* candidate : test_resolver(false).ready()) {
    if (candidate->id == method_under_test().plugin) return *candidate;
  }
  ADD_FAILURE() << "plugin " << method_under_test().plugin << " is not ready";
  static const Manifest none;
  return none;
}

bool of_this_plugin(const std::string& quant_method) {
  const auto& entries = manifest().quant_methods;
  return std::any_of(entries.begin(), entries.end(),
                     [&](const QuantMethodEntry& entry) { return entry.name == quant_method; });
}

TEST(Configs, AreReadAsTheLibrariesReadThem) {
  std::size_t passed = 0;
  for (const char* api : {"from_dict", "seed-era"}) {
    passed += expect_config_cases_agree(api, of_this_plugin, method_under_test().on_purpose).passed;
  }
  EXPECT_GE(passed, method_under_test().least_configs);
}

TEST(Configs, EveryPresetIsAccepted) {
  for (const PresetEntry& preset : manifest().presets) {
    auto quantizer =
        test_resolver(false).from_spec(manifest().id + ":" + preset.name, "transformers");
    EXPECT_TRUE(quantizer.ok()) << preset.name << ": " << quantizer.error().text();
  }
}

// The paths that the method quantizes, or the error.
Result<std::set<std::string>> quantized_paths(const json& config, const std::string& library,
                                              const json& paths) {
  PRECIS_ASSIGN(const auto quantizer, test_resolver(true).from_spec(config.dump(), library));
  std::set<std::string> quantized;
  for (const json& path : paths) {
    // A path, or a path with the class of its module.
    const std::string name = path.is_array() ? path[0] : path;
    // A checkpoint does not tell subclasses of Linear from Linear.
    if (name == "sub") continue;
    Param param;
    param.name = name + ".weight";
    param.module_kind = path.is_array() ? path[1].get<std::string>() : "Linear";
    param.shape = {64, 128};
    PRECIS_ASSIGN(const Storage storage, quantizer->storage(param));
    if (!storage.keep) quantized.insert(name);
  }
  return quantized;
}

TEST(Configs, ModulesNotToConvertAreMatchedAsTheLibrariesMatchThem) {
  std::size_t checked = 0;
  for_each_config_case([&](const json& test) {
    if (test["api"] != "skip-match") return;
    if (test["input"].contains("output_embeddings")) return;  // needs a module tree
    for (const SkipList& list : method_under_test().skip_lists) {
      if (list.method != test["input"]["method"]) continue;
      json config = list.config, skip = test["input"]["skip"];
      // A loader appends the modules that the model keeps in float32.
      for (const json& name : test["input"].value("keep_in_fp32", json::array()))
        skip.push_back(name);
      if (!skip.is_null()) config[list.key] = skip;
      const auto got = quantized_paths(config, test["library"], test["input"]["paths"]);
      const json& outcome = test["outcome"];
      ++checked;
      if (outcome.contains("error")) {
        EXPECT_FALSE(got.ok()) << test["id"] << " skip " << skip.dump();
        continue;
      }
      auto want = outcome["quantized"].get<std::set<std::string>>();
      want.erase("sub");
      ASSERT_TRUE(got.ok()) << test["id"] << " " << got.error().text();
      EXPECT_EQ(*got, want) << test["id"] << " " << test["library"] << " skip " << skip.dump();
    }
  });
  fmt::print("skip-match: {} checked\n", checked);
  EXPECT_EQ(checked > 0, !method_under_test().skip_lists.empty());
}

}  // namespace
}  // namespace precis
