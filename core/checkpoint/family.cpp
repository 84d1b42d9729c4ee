#include "core/checkpoint/family.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>

namespace precis {
namespace {

#include "families_json.inc"

using nlohmann::json;

// Prefixes that single files put before the names of the model's own checkpoint.
constexpr std::array<std::string_view, 5> kPrefixes{"", "model.diffusion_model.",
                                                    "diffusion_model.", "transformer.", "model."};

struct ModuleRule {
  std::unique_ptr<re2::RE2> pattern;
  std::string kind;
};

// Paths below a block.
struct Producer {
  std::string module;
  std::vector<std::string> layers;
};

struct Family {
  std::string name;
  std::vector<std::string> classes, tensors, architectures;
  std::vector<ModuleRule> modules;
  std::vector<FamilySkip> skips;
  std::vector<TiedWeight> tied;
  std::vector<FusedLayout> fused;
  std::vector<Producer> producers;
};

struct FamilyData {
  std::vector<ModuleRule> modules;  // of every family
  std::vector<Family> families;     // the last one is "other"
};

std::vector<std::string> strings_at(const json& object, const char* key) {
  return object.value(key, std::vector<std::string>());
}

std::vector<ModuleRule> read_modules(const json& object) {
  std::vector<ModuleRule> rules;
  for (const json& rule : object.value("modules", json::array())) {
    rules.push_back(
        {std::make_unique<re2::RE2>(rule.at("pattern").get<std::string>()), rule.at("kind")});
  }
  return rules;
}

// "{root}" in a pattern: the beginning of a name, whether or not a single file puts a prefix before
// it.
std::string with_root(std::string pattern, const std::string& root) {
  constexpr std::string_view kToken = "{root}";
  const std::size_t at = pattern.find(kToken);
  return at == std::string::npos ? pattern : pattern.replace(at, kToken.size(), root);
}

Family read_family(const json& entry, const std::string& root) {
  Family family;
  family.name = entry.at("name");
  family.classes = strings_at(entry, "classes");
  family.tensors = strings_at(entry, "tensors");
  family.architectures = strings_at(entry, "architectures");
  family.modules = read_modules(entry);
  for (const json& skip : entry.at("skips")) {
    family.skips.push_back({with_root(skip.at("pattern"), root), skip.at("reason")});
  }
  for (const json& tied : entry.value("tied", json::array())) {
    family.tied.push_back({tied.at("weight"), tied.at("same_as"), tied.value("when", "")});
  }
  for (const json& fused : entry.value("fused", json::array())) {
    family.fused.push_back({with_root(fused.at("pattern"), root), strings_at(fused, "parts")});
  }
  for (const json& producer : entry.value("producers", json::array())) {
    family.producers.push_back({producer.at("module"), strings_at(producer, "layers")});
  }
  return family;
}

const FamilyData& data() {
  static const FamilyData* const parsed = [] {
    auto* result = new FamilyData();
    const json document = json::parse(kFamiliesJson);
    result->modules = read_modules(document);
    for (const json& entry : document.at("families")) {
      result->families.push_back(read_family(entry, document.at("root")));
    }
    return result;
  }();
  return *parsed;
}

const Family& family_named(std::string_view name) {
  for (const Family& family : data().families) {
    if (family.name == name) return family;
  }
  return data().families.back();
}

bool contains(const std::vector<std::string>& list, const std::string& value) {
  return !value.empty() && std::find(list.begin(), list.end(), value) != list.end();
}

bool has_tensor(const Component& component, const std::string& name) {
  for (const std::string_view prefix : kPrefixes) {
    const std::string full = std::string(prefix) + name;
    for (const auto& file : component.files) {
      if (file->find(full) != nullptr) return true;
    }
  }
  return false;
}

std::string text_at(const json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object[key].is_string()) return "";
  return object[key];
}

// GGUF's general.architecture.
std::string architecture_of(const Component& component) {
  if (component.files.empty() || component.files.front()->format() != ContainerFormat::gguf)
    return "";
  const auto& metadata = component.files.front()->metadata();
  const auto found = metadata.find("general.architecture");
  if (found == metadata.end() || !(*found)["value"].is_string()) return "";
  return (*found)["value"];
}

const ModuleRule* find_rule(const std::vector<ModuleRule>& rules, std::string_view name) {
  const re2::StringPiece text(name.data(), name.size());
  for (const ModuleRule& rule : rules) {
    if (re2::RE2::PartialMatch(text, *rule.pattern)) return &rule;
  }
  return nullptr;
}

}  // namespace

std::string detect_family(const Component& component) {
  const std::string model_type = text_at(component.config, "model_type");
  for (const Family& family : data().families) {
    if (contains(family.classes, component.class_name) || contains(family.classes, model_type)) {
      return family.name;
    }
  }
  for (const Family& family : data().families) {
    for (const std::string& tensor : family.tensors) {
      if (has_tensor(component, tensor)) return family.name;
    }
  }
  const std::string architecture = architecture_of(component);
  for (const Family& family : data().families) {
    if (contains(family.architectures, architecture)) return family.name;
  }
  return data().families.back().name;
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const Family& family : data().families) names.push_back(family.name);
  return names;
}

const std::vector<FamilySkip>& default_skips(std::string_view family) {
  return family_named(family).skips;
}

const std::vector<TiedWeight>& tied_weights(std::string_view family) {
  return family_named(family).tied;
}

const std::vector<FusedLayout>& fused_layouts(std::string_view family) {
  return family_named(family).fused;
}

std::string scale_producer(std::string_view family, std::span<const std::string> paths) {
  for (const Producer& producer : family_named(family).producers) {
    if (producer.layers.size() != paths.size()) continue;
    for (const std::string& layer : producer.layers) {
      if (!paths.front().ends_with("." + layer)) continue;
      const std::string block = paths.front().substr(0, paths.front().size() - layer.size());
      const bool all = std::all_of(
          producer.layers.begin(), producer.layers.end(), [&](const std::string& other) {
            return std::find(paths.begin(), paths.end(), block + other) != paths.end();
          });
      if (all) return block + producer.module;
    }
  }
  return {};
}

std::string module_kind(std::string_view family, std::string_view tensor_name,
                        std::span<const int64_t> shape) {
  if (const ModuleRule* rule = find_rule(family_named(family).modules, tensor_name))
    return rule->kind;
  if (!tensor_name.ends_with(".weight") && tensor_name != "weight") return "";
  if (const ModuleRule* rule = find_rule(data().modules, tensor_name)) return rule->kind;
  switch (shape.size()) {
    case 1:
      return "Norm";
    case 2:
      return "Linear";
    case 3:
      return "Conv1d";
    case 4:
      return "Conv2d";
    case 5:
      return "Conv3d";
    default:
      return "";
  }
}

}  // namespace precis
