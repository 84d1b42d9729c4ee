// Dense layers of one input, side by side or fused into one.
#pragma once

#include <torch/nn/module.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "models/layers/linear.h"

namespace precis::models {

// A module with such layers, as attention has them for queries, keys and values. Fused they are one
// product; the state dict then has the names that diffusers gives fused layers.
class ProjectingModule : public torch::nn::Module {
 public:
  // Puts each group's weights below each other into one layer. Twice is once. Error
  // failed_precondition, before anything is changed, for layers that are quantized already.
  Status fuse_projections();
  // The layer's name by the names of those that it is fused from, whether they are yet or not.
  std::map<std::string, std::string> fused_names() const;

 protected:
  struct Projections {
    std::vector<std::string> names;  // "to_q", "to_k", "to_v"
    std::string fused_name;          // "to_qkv"
    std::vector<std::shared_ptr<Linear>> layers;
    std::shared_ptr<Linear> fused;  // null until then

    // What each layer gives for x: [..., in_features], in the order of the names.
    std::vector<at::Tensor> operator()(const at::Tensor& x) const;
  };

  // The layers are registered as children. The result lives as long as the module.
  const Projections* add_projections(std::vector<std::string> names, std::string fused_name,
                                     int64_t in_features, int64_t out_features, bool bias);

 private:
  std::deque<Projections> groups_;
};

// Fuses all attention of a network: fuse_qkv_projections() of diffusers' transformers. Quantize
// afterwards. Returns how many modules. Errors: those of fuse_projections.
Result<std::size_t> fuse_qkv_projections(torch::nn::Module& network);

// "blocks.0.attn.to_qkv" by "blocks.0.attn.to_q" and the others that are, or would be, fused.
std::map<std::string, std::string> fused_layer_paths(torch::nn::Module& network);

}  // namespace precis::models
