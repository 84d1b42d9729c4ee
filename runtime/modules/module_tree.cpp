#include "runtime/modules/module_tree.h"

#include <fmt/format.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/container/sequential.h>

namespace precis {
namespace {

void collect(torch::nn::Module& parent, const std::string& path, std::vector<ModuleSite>& sites) {
  for (const auto& child : parent.named_children()) {
    const std::string child_path = path.empty() ? child.key() : path + "." + child.key();
    sites.push_back({&parent, child.key(), child_path});
    // What is below a quantized layer are its parts.
    if (child.value()->as<QuantizedLayer>() == nullptr) collect(*child.value(), child_path, sites);
  }
}

// Sequential and ModuleList keep their modules a second time, in a list that forward walks.
bool keeps_a_list(torch::nn::Module& parent) {
  return parent.as<torch::nn::SequentialImpl>() != nullptr ||
         parent.as<torch::nn::ModuleListImpl>() != nullptr;
}

template <typename Layer>
void replace_everywhere(const ModuleSite& site, const std::shared_ptr<Layer>& layer) {
  const std::shared_ptr<torch::nn::Module> old = site.module();
  site.parent->replace_module(site.name, layer);
  if (auto* sequential = site.parent->as<torch::nn::SequentialImpl>()) {
    for (torch::nn::AnyModule& item : *sequential) {
      if (item.ptr() == old) item = torch::nn::AnyModule(layer);
    }
  }
  if (auto* list = site.parent->as<torch::nn::ModuleListImpl>()) {
    for (std::shared_ptr<torch::nn::Module>& item : *list) {
      if (item == old) item = layer;
    }
  }
}

}  // namespace

std::shared_ptr<torch::nn::Module> ModuleSite::module() const {
  return parent->named_children()[name];
}

std::vector<ModuleSite> module_sites(torch::nn::Module& root) {
  std::vector<ModuleSite> sites;
  collect(root, "", sites);
  return sites;
}

Status check_replaceable(const ModuleSite& site) {
  const long expected = keeps_a_list(*site.parent) ? 3 : 2;  // the tree's shares, and ours
  if (site.module().use_count() <= expected) return {};
  return Error(ErrorCode::failed_precondition,
               fmt::format("module '{}' is held by something else than the tree, which would go on "
                           "calling the float layer",
                           site.path),
               "hold it in a precis::AnyLayer instead of a torch::nn::Linear member, or skip it");
}

void replace_module(const ModuleSite& site, const std::shared_ptr<QuantizedLayer>& layer) {
  replace_everywhere(site, layer);
}

void replace_module(const ModuleSite& site, const torch::nn::Linear& layer) {
  replace_everywhere(site, layer.ptr());
}

void replace_module(const ModuleSite& site, const torch::nn::Conv2d& layer) {
  replace_everywhere(site, layer.ptr());
}

void replace_module(const ModuleSite& site, const torch::nn::Embedding& layer) {
  replace_everywhere(site, layer.ptr());
}

}  // namespace precis
