#include "models/layers/module_path.h"

namespace precis::models {
namespace {

// A level of names without parameters of its own.
class Container : public torch::nn::Module {};

}  // namespace

std::pair<torch::nn::Module*, std::string> parent_at(torch::nn::Module& root,
                                                     std::string_view path) {
  const auto dot = path.find('.');
  if (dot == std::string_view::npos) return {&root, std::string(path)};
  const std::string head(path.substr(0, dot));
  const auto children = root.named_children();
  const auto* found = children.find(head);
  const auto level =
      found != nullptr ? *found : root.register_module(head, std::make_shared<Container>());
  return parent_at(*level, path.substr(dot + 1));
}

std::string element(std::string_view list, int64_t index) {
  return std::string(list).append(".").append(std::to_string(index));
}

}  // namespace precis::models
