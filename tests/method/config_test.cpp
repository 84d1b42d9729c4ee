// What the Python libraries did with a method's config dicts and lists of modules not to convert,
// reproduced through its plugin.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "core/checkpoint/family.h"
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
      for (const json& name : test["input"].value("keep_in_fp32", json::array())) {
        if (list.loader_adds) skip.push_back(name);
      }
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
  const auto& lists = method_under_test().skip_lists;
  EXPECT_EQ(checked > 0, std::any_of(lists.begin(), lists.end(),
                                     [](const SkipList& list) { return list.has_paths; }));
}

// An architecture's weights that a library may replace.
struct Architecture {
  std::string family;
  std::set<std::string> modules;
  std::size_t linears = 0;
};

std::string family_of_class(const std::string& class_name) {
  Component component;
  component.class_name = class_name;
  return detect_family(component);
}

std::vector<json> replacement_records() {
  std::ifstream file(PRECIS_SOURCE_DIR "/tests/oracle/config/replaced_modules.jsonl");
  std::vector<json> records;
  for (std::string line; std::getline(file, line);) records.push_back(json::parse(line));
  return records;
}

std::map<std::string, Architecture> architectures(const std::vector<json>& records) {
  std::map<std::string, Architecture> found;
  for (const json& record : records) {
    if (!record.contains("quantized")) continue;
    const std::string name = record["family"];
    Architecture& architecture = found[name];
    architecture.family = family_of_class(name.substr(0, name.find('/')));
    architecture.linears = record["linears"];
    for (const json& path : record["quantized"]) architecture.modules.insert(path);
  }
  return found;
}

Result<std::set<std::string>> replaced_modules(const Architecture& architecture,
                                               const Quantizer& quantizer) {
  std::set<std::string> replaced;
  for (const std::string& module : architecture.modules) {
    Param param;
    param.name = module + ".weight";
    param.shape = {256, 256};
    param.module_kind = module_kind(architecture.family, param.name, param.shape);
    PRECIS_ASSIGN(const Storage storage, quantizer.storage(param));
    if (!storage.keep) replaced.insert(module);
  }
  return replaced;
}

// torchao's option for transformers, whose loader takes the embeddings off the list then.
bool quantizes_embeddings(const json& record) {
  return record["kwargs"].value("include_input_output_embeddings", false);
}

// The method's package was not there when the record was made, or the library fails where there is
// nothing to replace.
bool has_no_answer(const json& record) {
  const std::string message = record.value("message", "");
  return message.find("is not available") != std::string::npos ||
         message.find("local variable 'has_been_replaced'") != std::string::npos;
}

// What the library's loader adds to the list, which the method itself cannot know: the modules that
// the model class keeps in float32 (_keep_in_fp32_modules; transformers 4.48 does so for
// bitsandbytes alone), and without a list of the user's the output embedding or, in 4.48, the last
// module (get_modules_to_not_convert).
std::vector<std::string> added_by_the_loader(const json& record) {
  const std::string name = record["family"], class_name = name.substr(0, name.find('/'));
  const bool transformers = record["library"] == "transformers", era = record.contains("era");
  std::vector<std::string> added;
  if (record["method"] == "compressed-tensors") return added;  // its library matches by itself
  const bool bitsandbytes = record["method"].get<std::string>().starts_with("bitsandbytes");
  if (transformers && class_name == "T5EncoderModel" && (!era || bitsandbytes))
    added.emplace_back("wo");
  // torchao of 2025: diffusers kept nothing in float32 for it, transformers added its own to a list
  // of the user's, too.
  const bool old_torchao = era && record["method"] == "torchao";
  if (!transformers && class_name == "WanTransformer3DModel" && !old_torchao)
    added.emplace_back("time_embedder");
  const bool adds_outputs = record["skip"].is_null() || old_torchao || record["method"] == "awq" ||
                            (era && record["method"] == "bitnet");
  if (!transformers || !adds_outputs || quantizes_embeddings(record)) return added;
  static const std::map<std::string, std::string> outputs{
      {"BertForMaskedLM", "cls.predictions.decoder"},
      {"CLIPTextModelWithProjection", "text_projection"},
      {"GPT2LMHeadModel", "lm_head"},
      {"LlamaForCausalLM", "lm_head"}};
  const auto output = outputs.find(class_name);
  if (output != outputs.end()) added.push_back(output->second);
  if (era && class_name == "BertModel") added.emplace_back("pooler.dense");
  return added;
}

// Of a list in a checkpoint's names the fp8 loader makes the names of the model.
json in_names_of_the_model(const json& record) {
  json skip = record["skip"];
  const std::string prefix = "text_model.";
  if (record["method"] != "fp8" ||
      !record["family"].get<std::string>().starts_with("CLIPTextModel/"))
    return skip;
  for (json& entry : skip) {
    const std::string name = entry;
    if (name.starts_with(prefix)) entry = name.substr(prefix.size());
  }
  return skip;
}

// Every Linear of real architectures, against lists that users write.
TEST(Configs, TheSameModulesOfRealArchitecturesAreReplaced) {
  const std::vector<json> records = replacement_records();
  const auto known = architectures(records);
  std::size_t checked = 0;
  for (const json& record : records) {
    for (const SkipList& list : method_under_test().skip_lists) {
      if (list.method != record["method"] || has_no_answer(record)) continue;
      json config = list.config;
      config.update(record["kwargs"]);
      json skip = in_names_of_the_model(record);
      if (list.loader_adds) {
        if (skip.is_null()) skip = json::array();
        for (const std::string& module : added_by_the_loader(record)) skip.push_back(module);
      }
      if (!skip.is_null()) config[list.key] = skip;
      const std::string library = record["library"];
      RegistryResolver& resolver =
          record.contains("era") ? test_resolver_of_2025(library) : test_resolver(true);
      const auto quantizer = resolver.from_spec(config.dump(), library);
      ASSERT_TRUE(quantizer.ok()) << record["id"] << " " << quantizer.error().text();
      const Architecture& architecture = known.at(record["family"]);
      const auto got = replaced_modules(architecture, **quantizer);
      ++checked;
      if (record.contains("error")) {
        EXPECT_FALSE(got.ok()) << record["id"];
        continue;
      }
      ASSERT_TRUE(got.ok()) << record["id"] << " " << got.error().text();
      EXPECT_EQ(*got, record["quantized"].get<std::set<std::string>>())
          << record["id"] << " " << library << " " << record["method"] << " skip "
          << record["skip"].dump();
      const std::vector<int64_t> shape{256, 256};
      const auto linears = std::count_if(got->begin(), got->end(), [&](const std::string& module) {
        return module_kind(architecture.family, module + ".weight", shape) != "Embedding";
      });
      EXPECT_EQ(architecture.linears - static_cast<std::size_t>(linears), record["linears_kept"])
          << record["id"];
    }
  }
  fmt::print("replaced modules: {} checked\n", checked);
  EXPECT_EQ(checked > 0, !method_under_test().skip_lists.empty());
}

}  // namespace
}  // namespace precis
