#include "tests/method/config_cases.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "registry/config/dispatch.h"
#include "tests/method/method_test.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::set<ErrorCode> codes_of(const std::string& exception) {
  if (exception == "TypeError") return {ErrorCode::invalid_type};
  if (exception == "NotImplementedError") return {ErrorCode::unsupported};
  if (exception == "ImportError") return {ErrorCode::failed_precondition};
  return {ErrorCode::invalid_argument};  // ValueError, AttributeError, KeyError, AssertionError,
                                         // re.error
}

// The same for what differs from the defaults, where the library's class computes that: elsewhere
// to_diff_dict() is the whole dict.
std::string difference_disagreement(const json& config, const std::string& library,
                                    const std::string& version, const json& canonical,
                                    const json& outcome) {
  json want = outcome.value("diff", json());
  if (!want.is_object() || want.contains("quant_method") || !translate_python_values(want))
    return "";
  const auto choice = test_resolver(true).choose(config, {library, true});
  if (!choice.ok()) return choice.error().text();
  const auto answer =
      test_resolver(true).difference_from_defaults(*choice, canonical, library, version);
  if (!answer.ok()) return "difference refused: " + answer.error().text();
  if (*answer == want) return "";
  return fmt::format("differs from the defaults in {}\n  library {}", answer->dump(), want.dump());
}

// Precis' answer to one dict: empty when it agrees with the library's.
std::string disagreement(const json& config, const std::string& library, const std::string& version,
                         const json& outcome) {
  const auto answer = test_resolver(true).normalize(config, library, true, version);
  if (outcome.contains("error")) {
    if (answer.ok())
      return fmt::format("accepted; the library: {} {}", outcome["error"].dump(),
                         outcome["message"].dump());
    // A method the library has never heard of is a ValueError there, and a missing plugin here.
    if (answer.error().code() == ErrorCode::plugin) return "";
    if (!codes_of(outcome["error"]).contains(answer.error().code())) {
      return fmt::format("refused as {} ({}); the library: {}",
                         error_code_name(answer.error().code()), answer.error().text(),
                         outcome["error"].dump());
    }
    return "";
  }
  if (!answer.ok()) return fmt::format("refused: {}", answer.error().text());
  json want = outcome["normalized"];
  if (!translate_python_values(want)) return "";
  if (*answer != want) return fmt::format("gives {}\n  library {}", answer->dump(), want.dump());
  return difference_disagreement(config, library, version, *answer, outcome);
}

}  // namespace

void for_each_config_case(const std::function<void(const json& test)>& visit) {
  std::ifstream file(fs::path(PRECIS_SOURCE_DIR) / "tests/oracle/config/cases.jsonl");
  ASSERT_TRUE(file.is_open());
  for (std::string line; std::getline(file, line);) visit(json::parse(line));
}

bool translate_python_values(json& value) {
  if (value.is_object()) {
    if (value.contains("$dtype")) {
      value = value["$dtype"].get<std::string>();
      return true;
    }
    for (const char* tag : {"$object", "$float", "$config", "$ao"}) {
      if (value.contains(tag)) return false;
    }
  }
  if (!value.is_structured()) return true;
  for (auto& item : value) {
    if (!translate_python_values(item)) return false;
  }
  return true;
}

std::string quant_method_of(const json& config) {
  const auto key = dispatch_key(config, {"", true});
  return key.ok() ? *key : "";
}

ConfigCounts expect_config_cases_agree(
    const std::string& api, const std::function<bool(const std::string& quant_method)>& chosen,
    const std::function<std::string(const json& config)>& on_purpose) {
  ConfigCounts counts;
  for_each_config_case([&](const json& test) {
    if (test["api"] != api || !test["input"].contains("config")) return;
    if (api == "seed-era" && test["input"].value("api", "") != "from_dict") return;
    const json& original = test["input"]["config"];
    json config = original;
    const bool representable = translate_python_values(config);
    if (!chosen(quant_method_of(config))) return;
    if (!representable) return void(++counts.not_json);
    if (on_purpose && !on_purpose(original).empty()) return void(++counts.on_purpose);
    const std::string library = test["library"];
    const std::string version = api == "seed-era" ? (library == "diffusers" ? "0.33" : "4.48") : "";
    const std::string problem = disagreement(config, library, version, test["outcome"]);
    problem.empty() ? ++counts.passed : ++counts.failed;
    EXPECT_EQ(problem, "") << test["id"] << " " << library << " " << config.dump();
  });
  fmt::print("{}: {} agree, {} differ; {} with values JSON lacks, {} otherwise on purpose\n", api,
             counts.passed, counts.failed, counts.not_json, counts.on_purpose);
  return counts;
}

}  // namespace precis
