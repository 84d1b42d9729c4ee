// Dicts that name no method, or one that no library knows: the dispatcher answers as the libraries
// do. The dicts of a method are checked beside its plugin (tests/method/config_test.cpp).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "registry/config/dispatch.h"
#include "tests/python_configs.h"

namespace precis {
namespace {

using nlohmann::json;

bool of_no_method(const std::string& quant_method) {
  const auto& known = known_quant_methods();
  return std::find(known.begin(), known.end(), quant_method) == known.end();
}

TEST(DispatchOracle, FromDict) {
  EXPECT_GE(expect_config_cases_agree("from_dict", of_no_method, {}).passed, 60u);
}

TEST(DispatchOracle, FromDictOfTheYear2025) {
  EXPECT_GE(expect_config_cases_agree("seed-era", of_no_method, {}).passed, 10u);
}

// The method that stands for a quantizer class of the libraries.
std::string method_of_quantizer(const std::string& class_name) {
  static const std::map<std::string, std::string> methods{
      {"Bnb4BitHfQuantizer", "bitsandbytes_4bit"},
      {"BnB4BitDiffusersQuantizer", "bitsandbytes_4bit"},
      {"Bnb8BitHfQuantizer", "bitsandbytes_8bit"},
      {"BnB8BitDiffusersQuantizer", "bitsandbytes_8bit"},
      {"QuantoHfQuantizer", "quanto"},
      {"QuantoQuantizer", "quanto"},
      {"GgufHfQuantizer", "gguf"},
      {"FbgemmFp8HfQuantizer", "fbgemm_fp8"},
      {"FineGrainedFP8HfQuantizer", "fp8"}};
  const auto found = methods.find(class_name);
  return found == methods.end() ? "" : found->second;
}

// from_config: which quantizer a config gets. What the quantizers demand of the machine is in these
// records only where a package was missing (quark).
TEST(DispatchOracle, WhichQuantizer) {
  std::size_t checked = 0, without_plugin = 0;
  for_each_config_case([&](const json& test) {
    if (test["api"] != "resolve" || test["input"]["what"] != "quantizer") return;
    const json& config = test["input"]["config"];
    if (!has_plugin(config)) return void(++without_plugin);
    ++checked;
    const std::string library = test["library"];
    const auto read = test_resolver(true).normalize(config, library, true);
    const json& outcome = test["outcome"];
    if (outcome.contains("error")) {
      // precis quantizes also with methods whose library only loads, and needs no Python package.
      const bool from_floats = !test["input"].value("pre_quantized", true);
      const bool no_package = outcome["error"] == "ImportError";
      EXPECT_TRUE(from_floats || no_package || !read.ok()) << test["id"];
      return;
    }
    ASSERT_TRUE(read.ok()) << test["id"] << " " << read.error().text();
    const auto quantizer = test_resolver(true).from_spec(config.dump(), library);
    ASSERT_TRUE(quantizer.ok()) << test["id"] << " " << quantizer.error().text();
    const std::string want = method_of_quantizer(outcome["class"]);
    if (!want.empty()) {
      EXPECT_EQ((*quantizer)->method(), want) << test["id"];
    }
    // gptq and awq round to the nearest where the library has nothing without calibration.
    if ((*quantizer)->needs_calibration()) {
      EXPECT_TRUE(outcome["requires_calibration"].get<bool>()) << test["id"];
    }
  });
  fmt::print("quantizers: {} checked, {} of methods without a plugin\n", checked, without_plugin);
  EXPECT_GE(checked, 20u);
}

// Needs no plugin: the libraries' registries are data here.
TEST(DispatchOracle, WhichMethodsTransformersLoads) {
  std::size_t checked = 0;
  for_each_config_case([&](const json& test) {
    if (test["api"] != "resolve" || test["input"]["what"] != "supports") return;
    ++checked;
    const auto supported =
        supports_quant_method(test["input"]["config"], std::string(test["library"]));
    ASSERT_TRUE(supported.ok()) << test["id"];
    EXPECT_EQ(*supported, test["outcome"]["supported"].get<bool>()) << test["id"];
  });
  EXPECT_GE(checked, 7u);
}

TEST(Dispatch, SaysWhoWouldProvideAMethod) {
  for (const QuantMethodFacts& facts : quant_methods()) {
    if (facts.name.starts_with("bitsandbytes")) continue;
    const json config{{"quant_method", facts.name}};
    const auto choice = dispatch(config, {}, {});
    ASSERT_FALSE(choice.ok());
    EXPECT_EQ(choice.error().code(), ErrorCode::plugin);
    EXPECT_EQ(choice.error().message(),
              fmt::format("no plugin for quant_method '{}'; these would provide it: {}", facts.name,
                          facts.plugin));
  }
}

TEST(Dispatch, BitsandbytesWithoutALoadFlagIsFourBitsOnlyWhenLenient) {
  const json config{{"quant_method", "bitsandbytes_8bit"}};
  EXPECT_EQ(dispatch(config, test_resolver(false).ready(), {}).error().code(),
            ErrorCode::invalid_argument);
  EXPECT_EQ(dispatch(config, test_resolver(true).ready(), {"", true})->method, "bitsandbytes_4bit");
  const json crossed{{"quant_method", "bitsandbytes_8bit"}, {"load_in_4bit", true}};
  EXPECT_FALSE(dispatch(crossed, test_resolver(false).ready(), {}).ok());
  EXPECT_EQ(dispatch(crossed, test_resolver(true).ready(), {"", true})->method,
            "bitsandbytes_4bit");
}

}  // namespace
}  // namespace precis
