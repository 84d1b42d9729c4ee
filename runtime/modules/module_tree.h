// Finding and replacing layers in a tree of modules.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/embedding.h>
#include <torch/nn/modules/linear.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "runtime/modules/quantized_layer.h"

namespace precis {

// A child of a module of the tree. Holds no share of the child: the tree owns it.
struct ModuleSite {
  torch::nn::Module* parent = nullptr;
  std::string name;  // of the child in its parent
  std::string path;  // from the root: "transformer_blocks.0.attn.to_q"

  std::shared_ptr<torch::nn::Module> module() const;
};

// Every module below `root` but the parts of quantized layers, parents before children, in the
// order of registration.
std::vector<ModuleSite> module_sites(torch::nn::Module& root);

// Whether replacing the module would reach every caller. Error failed_precondition when something
// else than the tree holds it, such as a member of type torch::nn::Linear, which would go on
// calling the old layer.
Status check_replaceable(const ModuleSite& site);

// Puts `layer` in the module's place: in its parent, and in the list of a Sequential or ModuleList.
void replace_module(const ModuleSite& site, const std::shared_ptr<QuantizedLayer>& layer);
void replace_module(const ModuleSite& site, const torch::nn::Linear& layer);
void replace_module(const ModuleSite& site, const torch::nn::Conv2d& layer);
void replace_module(const ModuleSite& site, const torch::nn::Embedding& layer);

}  // namespace precis
