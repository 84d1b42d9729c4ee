// What the libraries made of a quantized checkpoint's config and one of the user's, reproduced:
// merged, then read by the method's plugin.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "registry/config/merge.h"
#include "tests/python_configs.h"

namespace precis {
namespace {

using nlohmann::json;

Result<json> merged(const json& checkpoint, const json& user, const std::string& library,
                    const std::string& version) {
  PRECIS_ASSIGN(const json config, test_resolver(true).merge(checkpoint, user, library));
  return test_resolver(true).normalize(config, library, true, version);
}

TEST(MergeOracle, WhoseValuesWin) {
  std::size_t checked = 0, without_plugin = 0, not_json = 0, stricter = 0;
  for_each_config_case([&](const json& test) {
    const std::string api = test["api"];
    if ((api == "seed-era" ? test["input"].value("api", "") : api) != "merge") return;
    json checkpoint = test["input"]["model"], user = dict_of_python_config(test["input"]["user"]);
    json want = test["outcome"].value("normalized", json());
    if (!translate_python_values(checkpoint) || !translate_python_values(user) ||
        !translate_python_values(want))
      return void(++not_json);
    // A gptq checkpoint that is asked for as auto-round becomes one.
    const json& becomes = test["outcome"].contains("normalized") ? want : checkpoint;
    if (!has_plugin(checkpoint) || !has_plugin(becomes)) return void(++without_plugin);
    // A merge is today's library's; transformers 4.48 did not compare the classes.
    const std::string library = test["library"];
    const std::string version = api != "seed-era" ? "" : library == "diffusers" ? "0.33" : "4.48";
    // An object of the other library's class has fields that the dict does not show.
    const json& object = test["input"]["user"];
    if (object.is_object() && object.value("library", library) != library) return void(++not_json);
    const bool one_class = user.is_null() || user["quant_method"] == checkpoint["quant_method"];
    if (api == "seed-era" && !one_class && !test["outcome"].contains("error"))
      return void(++stricter);
    const auto got = merged(checkpoint, user, library, version);
    ++checked;
    if (test["outcome"].contains("error")) {
      EXPECT_FALSE(got.ok()) << test["id"] << " gives " << got->dump() << " where the library has "
                             << test["outcome"].dump();
      return;
    }
    ASSERT_TRUE(got.ok()) << test["id"] << " " << got.error().text();
    EXPECT_EQ(*got, want) << test["id"] << " user " << user.dump();
  });
  fmt::print(
      "merge: {} checked; {} of methods without a plugin, {} with values JSON lacks, "
      "{} as today's library\n",
      checked, without_plugin, not_json, stricter);
  EXPECT_GE(checked, 77u);
}

// The libraries' recorded answers for methods without a plugin, where they need no defaults.
TEST(Merge, LoadingAttributesAreTheUsers) {
  const json gptq{{"quant_method", "gptq"}, {"bits", 4}, {"backend", "auto"}};
  EXPECT_EQ(*merge_configs(gptq, {{"quant_method", "gptq"}, {"bits", 8}, {"backend", "marlin"}},
                           "transformers"),
            (json{{"quant_method", "gptq"}, {"bits", 4}, {"backend", "marlin"}}));
  EXPECT_EQ(*merge_configs(gptq, {{"quant_method", "auto-round"}}, "transformers"),
            (json{{"quant_method", "auto-round"},
                  {"bits", 4},
                  {"backend", "auto"},
                  {"packing_format", "auto_round:gptq"}}));
  const json round{{"quant_method", "auto-round"}, {"bits", 2}, {"backend", "auto"}};
  EXPECT_EQ(
      *merge_configs(round, {{"quant_method", "auto-round"}, {"bits", 4}, {"backend", "marlin"}},
                     "diffusers"),
      (json{{"quant_method", "auto-round"}, {"bits", 4}, {"backend", "marlin"}}));
}

// In Python the user's default replaces the checkpoint's list of modules, which says what the
// tensors are.
TEST(Merge, AnAttributeThatTheUserLeftOutStaysTheCheckpointsUnlessLenient) {
  const json checkpoint{{"quant_method", "fp8"}, {"modules_to_not_convert", {"lm_head"}}};
  const json user{{"quant_method", "fp8"}, {"dequantize", true}};
  const auto strict = test_resolver(false).merge(checkpoint, user, "transformers");
  ASSERT_TRUE(strict.ok()) << strict.error().text();
  EXPECT_EQ((*strict)["modules_to_not_convert"], (json{"lm_head"}));
  EXPECT_EQ((*strict)["dequantize"], true);
  const auto lenient = test_resolver(true).merge(checkpoint, user, "transformers");
  ASSERT_TRUE(lenient.ok()) << lenient.error().text();
  EXPECT_EQ((*lenient)["modules_to_not_convert"], json());
}

TEST(Merge, AnotherMethodIsRefusedForTransformersAlone) {
  const json checkpoint{{"quant_method", "bitsandbytes"}, {"load_in_4bit", true}};
  const json user{{"quant_method", "quanto"}};
  EXPECT_EQ(merge_configs(checkpoint, user, "transformers").error().code(),
            ErrorCode::invalid_argument);
  EXPECT_EQ(*merge_configs(checkpoint, user, "diffusers"), checkpoint);
}

}  // namespace
}  // namespace precis
