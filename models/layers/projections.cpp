#include "models/layers/projections.h"

#include <ATen/ATen.h>

#include "models/layers/module_path.h"
#include "runtime/modules/quantized_linear.h"

namespace precis::models {

std::vector<at::Tensor> ProjectingModule::Projections::operator()(const at::Tensor& x) const {
  if (fused) return (*fused)(x).chunk(static_cast<int64_t>(names.size()), -1);
  std::vector<at::Tensor> results;
  for (const auto& layer : layers) results.push_back((*layer)(x));
  return results;
}

const ProjectingModule::Projections* ProjectingModule::add_projections(
    std::vector<std::string> names, std::string fused_name, int64_t in_features,
    int64_t out_features, bool bias) {
  Projections& group = groups_.emplace_back();
  group.names = std::move(names);
  group.fused_name = std::move(fused_name);
  for (const std::string& name : group.names)
    group.layers.push_back(add<Linear>(*this, name, in_features, out_features, bias));
  return &group;
}

Status ProjectingModule::fuse_projections() {
  const auto children = named_children();
  for (const Projections& group : groups_) {
    for (const std::string& name : group.names) {
      if (group.fused || children[name]->as<torch::nn::LinearImpl>() != nullptr) continue;
      return Error(ErrorCode::failed_precondition,
                   "layer '" + name + "' is quantized: its weight cannot be fused with others",
                   "call fuse_qkv_projections() on the float network, then quantize()");
    }
  }
  for (Projections& group : groups_) {
    if (group.fused) continue;
    std::vector<at::Tensor> weights, biases;
    for (const std::string& name : group.names) {
      const auto* layer = children[name]->as<torch::nn::LinearImpl>();
      weights.push_back(layer->weight);
      if (layer->bias.defined()) biases.push_back(layer->bias);
      unregister_module(name);
    }
    group.layers.clear();
    const auto bias = biases.empty() ? at::Tensor() : at::cat(biases);
    group.fused = std::make_shared<Linear>(
        AnyLayer(*this, group.fused_name, float_linear(at::cat(weights), bias)));
  }
  return {};
}

std::map<std::string, std::string> ProjectingModule::fused_names() const {
  std::map<std::string, std::string> names;
  for (const Projections& group : groups_) {
    for (const std::string& name : group.names) names.emplace(name, group.fused_name);
  }
  return names;
}

Result<std::size_t> fuse_qkv_projections(torch::nn::Module& network) {
  // Found before any is fused, which frees layers. Without the network itself in modules(): torch
  // asks of that one to be held by a shared_ptr.
  std::vector<ProjectingModule*> found;
  const auto look_at = [&](torch::nn::Module* module) {
    if (auto* projecting = dynamic_cast<ProjectingModule*>(module)) found.push_back(projecting);
  };
  look_at(&network);
  for (const auto& module : network.modules(/*include_self=*/false)) look_at(module.get());
  for (ProjectingModule* module : found) PRECIS_TRY(module->fuse_projections());
  return found.size();
}

std::map<std::string, std::string> fused_layer_paths(torch::nn::Module& network) {
  std::map<std::string, std::string> paths;
  for (const auto& item : network.named_modules(/*name_prefix=*/"", /*include_self=*/false)) {
    const auto* module = dynamic_cast<const ProjectingModule*>(item.value().get());
    if (module == nullptr) continue;
    for (const auto& [part, fused] : module->fused_names())
      paths.emplace(item.key() + "." + part, item.key() + "." + fused);
  }
  return paths;
}

}  // namespace precis::models
