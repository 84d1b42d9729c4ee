#include "core/checkpoint/family.h"

#include <re2/re2.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

namespace precis {
namespace {

#include "families_json.inc"

struct Family {
  std::string name;
  std::vector<std::string> classes, tensors;
  std::vector<FamilySkip> skips;
};

struct FamilyData {
  std::unique_ptr<re2::RE2> embeddings;
  std::vector<Family> families;
};

const FamilyData& data() {
  static const FamilyData* const parsed = [] {
    auto* result = new FamilyData();
    const nlohmann::json document = nlohmann::json::parse(kFamiliesJson);
    result->embeddings = std::make_unique<re2::RE2>(document.at("embeddings").get<std::string>());
    for (const auto& entry : document.at("families")) {
      Family family{entry.at("name"), entry.at("classes"), entry.at("tensors"), {}};
      for (const auto& skip : entry.at("skips")) {
        family.skips.push_back({skip.at("pattern"), skip.at("reason")});
      }
      result->families.push_back(std::move(family));
    }
    return result;
  }();
  return *parsed;
}

bool contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

bool has_tensor(const Component& component, const std::string& name) {
  return std::any_of(component.files.begin(), component.files.end(),
                     [&](const auto& file) { return file->find(name) != nullptr; });
}

}  // namespace

std::string detect_family(const Component& component) {
  std::string model_type;
  if (component.config.is_object() && component.config.contains("model_type") &&
      component.config["model_type"].is_string()) {
    model_type = component.config["model_type"];
  }
  for (const Family& family : data().families) {
    if (contains(family.classes, component.class_name) ||
        (!model_type.empty() && contains(family.classes, model_type))) {
      return family.name;
    }
  }
  for (const Family& family : data().families) {
    for (const std::string& tensor : family.tensors) {
      if (has_tensor(component, tensor)) return family.name;
    }
  }
  return "other";
}

const std::vector<FamilySkip>& default_skips(std::string_view name) {
  static const std::vector<FamilySkip> kNone;
  for (const Family& family : data().families) {
    if (family.name == name) return family.skips;
  }
  return kNone;
}

std::string module_kind(std::string_view tensor_name, const std::vector<int64_t>& shape) {
  if (!tensor_name.ends_with("weight")) return "";
  if (re2::RE2::PartialMatch(re2::StringPiece(tensor_name.data(), tensor_name.size()),
                             *data().embeddings)) {
    return "Embedding";
  }
  if (shape.size() == 2) return "Linear";
  if (shape.size() >= 3) return "Conv";
  return "";
}

}  // namespace precis
