// The dense layer of every network.
#pragma once

#include <utility>

#include "runtime/modules/any_layer.h"

namespace precis::models {

// y = x W^T + b, a torch::nn::Linear in the module tree or the quantized layer that took its place.
// Made by add<Linear>(root, path, in_features, out_features, bias).
class Linear {
 public:
  explicit Linear(AnyLayer layer) : layer_(std::move(layer)) {}
  // x: [..., in_features]; gives [..., out_features].
  at::Tensor operator()(const at::Tensor& x) const { return layer_(x); }

 private:
  AnyLayer layer_;
};

// A torch::nn::Linear without initialised weights: memory is reserved but not touched, so that a
// network costs nothing before its weights are read.
torch::nn::Linear uninitialised_linear(int64_t in_features, int64_t out_features, bool bias);

}  // namespace precis::models
