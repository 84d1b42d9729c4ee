// Building a module tree whose names are the dotted state-dict names of the Python libraries.
#pragma once

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "models/layers/linear.h"

namespace precis::models {

// The module below `root` that a child of the dotted `path` belongs to, and the child's own name:
// "net.0.proj" goes through the containers "net" and "0", which are made where they are missing.
std::pair<torch::nn::Module*, std::string> parent_at(torch::nn::Module& root,
                                                     std::string_view path);

// Makes a T and registers it at `path` below `root`. Error: c10::Error when the name is taken.
template <typename T, typename... Args>
std::shared_ptr<T> add(torch::nn::Module& root, std::string_view path, Args&&... args) {
  auto [parent, name] = parent_at(root, path);
  auto child = std::make_shared<T>(std::forward<Args>(args)...);
  parent->register_module(std::move(name), child);
  return child;
}

// The same for a dense layer, which quantization may replace in the tree.
template <typename T>
requires std::is_same_v<T, Linear> std::shared_ptr<Linear> add(torch::nn::Module& root,
                                                               std::string_view path,
                                                               int64_t in_features,
                                                               int64_t out_features,
                                                               bool bias = true) {
  auto [parent, name] = parent_at(root, path);
  return std::make_shared<Linear>(
      AnyLayer(*parent, std::move(name), uninitialised_linear(in_features, out_features, bias)));
}

// "blocks.3": the path of an element of a list.
std::string element(std::string_view list, int64_t index);

}  // namespace precis::models
