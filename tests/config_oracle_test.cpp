// What diffusers and transformers did with thousands of config dicts (tests/oracle/README.md),
// reproduced: accepted or refused, the kind of error, and every normalised value. Read leniently,
// as Python reads.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/abi/host.h"
#include "registry/config/registry_resolver.h"

namespace precis {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

RegistryResolver& resolver() {
  static auto* const plugins = new PluginRegistry(
      process_host().abi(), {fs::path(PRECIS_BINARY_DIR) / "lib/precis/plugins"});
  static auto* const instance = new RegistryResolver(*plugins, true);
  return *instance;
}

// Python objects as precis spells them: a torch.dtype is its name. False: JSON has no such value.
bool translate(json& value) {
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
    if (!translate(item)) return false;
  }
  return true;
}

std::set<ErrorCode> codes_of(const std::string& exception) {
  if (exception == "TypeError") return {ErrorCode::invalid_type};
  if (exception == "NotImplementedError") return {ErrorCode::unsupported};
  if (exception == "ImportError") return {ErrorCode::failed_precondition};
  return {ErrorCode::invalid_argument};  // ValueError, AttributeError, KeyError, AssertionError,
                                         // re.error
}

// quant_methods whose configs a plugin of this tree reads; dicts without any are the dispatcher's
// own.
bool has_plugin(const json& config) {
  if (!config.is_object()) return true;
  const auto truthy = [&](const char* key) {
    const auto found = config.find(key);
    return found != config.end() && !found->is_null() && *found != false && *found != 0 &&
           *found != "";
  };
  if (truthy("load_in_4bit") || truthy("load_in_8bit")) return true;
  const auto method = config.find("quant_method");
  if (method == config.end() || !method->is_string()) return true;
  const auto& known = known_quant_methods();
  const bool real = std::find(known.begin(), known.end(), *method) != known.end();
  static const std::set<std::string> ours{"bitsandbytes", "bitsandbytes_4bit", "bitsandbytes_8bit",
                                          "gguf", "quanto"};
  return !real || ours.contains(method->get<std::string>());
}

// Cases that precis answers otherwise on purpose; empty: none of them.
std::string on_purpose(const json& test, const json& config) {
  const json& original = test["input"]["config"];
  if (!config.is_object()) return "";
  if (config.value("bnb_4bit_compute_dtype", json()) == "Tensor") {
    return "torch.Tensor exists but is no dtype: a TypeError there by accident, an unknown dtype "
           "here";
  }
  const auto storage = original.find("bnb_4bit_quant_storage");
  if (storage != original.end() && storage->is_object())
    return "a dtype object, which the library does not check; JSON has only its name";
  return "";
}

struct Counts {
  std::size_t passed = 0, failed = 0, other_method = 0, not_json = 0, on_purpose = 0;
};

// Precis' answer to one dict: empty when it agrees with the library's.
std::string disagreement(const json& config, const std::string& library, const std::string& version,
                         const json& outcome) {
  const auto answer = resolver().normalize(config, library, true, version);
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
  const json& got = *answer;
  if (!translate(want)) return "";
  return got == want ? "" : fmt::format("gives {}\n  library {}", got.dump(), want.dump());
}

template <typename Visit>
void for_each_case(Visit visit) {
  std::ifstream file(fs::path(PRECIS_SOURCE_DIR) / "tests/oracle/config/cases.jsonl");
  ASSERT_TRUE(file.is_open());
  for (std::string line; std::getline(file, line);) visit(json::parse(line));
}

void check_dicts(const std::string& api, std::size_t at_least) {
  Counts counts;
  for_each_case([&](const json& test) {
    if (test["api"] != api || !test["input"].contains("config")) return;
    if (api == "seed-era" && test["input"].value("api", "") != "from_dict") return;
    json config = test["input"]["config"];
    if (!translate(config)) return void(++counts.not_json);
    if (!has_plugin(config)) return void(++counts.other_method);
    if (!on_purpose(test, config).empty()) return void(++counts.on_purpose);
    const std::string library = test["library"];
    const std::string version = api == "seed-era" ? (library == "diffusers" ? "0.33" : "4.48") : "";
    const std::string problem = disagreement(config, library, version, test["outcome"]);
    problem.empty() ? ++counts.passed : ++counts.failed;
    EXPECT_EQ(problem, "") << test["id"] << " " << library << " " << config.dump();
  });
  fmt::print(
      "{}: {} agree, {} differ; {} of methods without a plugin, {} with values JSON lacks, "
      "{} otherwise on purpose\n",
      api, counts.passed, counts.failed, counts.other_method, counts.not_json, counts.on_purpose);
  EXPECT_GE(counts.passed, at_least);
}

TEST(ConfigOracle, FromDict) {
  check_dicts("from_dict", 400);
}

TEST(ConfigOracle, FromDictOfTheYear2025) {
  check_dicts("seed-era", 200);
}

// Which module paths a library replaces, given a list of modules not to convert.
TEST(ConfigOracle, SkipMatch) {
  Counts counts;
  const std::map<std::string, json> base{
      {"bitsandbytes_4bit", {{"quant_method", "bitsandbytes"}, {"load_in_4bit", true}}},
      {"bitsandbytes_8bit", {{"quant_method", "bitsandbytes"}, {"load_in_8bit", true}}},
      {"quanto", {{"quant_method", "quanto"}}},
      {"gguf", {{"quant_method", "gguf"}, {"type", "q8_0"}}}};
  for_each_case([&](const json& test) {
    if (test["api"] != "skip-match") return;
    const std::string method = test["input"]["method"];
    const auto found = base.find(method);
    if (found == base.end()) return void(++counts.other_method);
    if (test["input"].contains("output_embeddings"))
      return void(++counts.not_json);  // needs a module tree
    json config = found->second;
    json skip = test["input"]["skip"];
    // A loader appends the modules that the model keeps in float32.
    for (const json& name : test["input"].value("keep_in_fp32", json::array()))
      skip.push_back(name);
    if (!skip.is_null())
      config[method.starts_with("bitsandbytes") ? "llm_int8_skip_modules"
                                                : "modules_to_not_convert"] = skip;
    const std::string library = test["library"];
    auto quantizer = resolver().from_spec(config.dump(), library);
    ASSERT_TRUE(quantizer.ok()) << quantizer.error().text();
    std::set<std::string> quantized;
    std::optional<Error> error;
    for (const json& path : test["input"]["paths"]) {
      // A path, or a path with the class of its module.
      const std::string name = path.is_array() ? path[0] : path;
      // A checkpoint does not tell subclasses of Linear from Linear.
      if (name == "sub") continue;
      Param param;
      param.name = name + ".weight";
      param.module_kind = path.is_array() ? path[1].get<std::string>() : "Linear";
      param.shape = {64, 64};
      auto storage = (*quantizer)->storage(param);
      if (!storage.ok())
        error = storage.error();
      else if (!storage->keep)
        quantized.insert(name);
    }
    const json& outcome = test["outcome"];
    std::set<std::string> want;
    if (!outcome.contains("error")) want = outcome["quantized"].get<std::set<std::string>>();
    want.erase("sub");
    const bool agrees = outcome.contains("error") ? error.has_value() : !error && quantized == want;
    agrees ? ++counts.passed : ++counts.failed;
    EXPECT_TRUE(agrees) << test["id"] << " " << library << " " << method << " skip " << skip.dump()
                        << "\n got " << json(quantized).dump() << (error ? error->text() : "")
                        << "\n want " << outcome.dump();
  });
  fmt::print("skip-match: {} agree, {} differ; {} of methods without a plugin\n", counts.passed,
             counts.failed, counts.other_method);
  EXPECT_GE(counts.passed, 100u);
}

}  // namespace
}  // namespace precis
