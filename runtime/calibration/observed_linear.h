// A float Linear that shows its input before it computes.
#pragma once

#include <functional>

#include "runtime/modules/module_tree.h"

namespace precis {

class ObservedLinear : public QuantizedLayer {
 public:
  using Observer = std::function<void(ObservedLinear& layer, const at::Tensor& input)>;

  // weight: [out_features, in_features]; bias: [out_features] or undefined. The tensors themselves
  // become the layer's. param: of the weight.
  ObservedLinear(Param param, torch::Tensor weight, torch::Tensor bias);

  // Shows x to the observer, when there is one, then gives x W^T + b. What the observer throws
  // passes through.
  torch::Tensor forward(const torch::Tensor& x) override;
  void restore(const ModuleSite& site, at::ScalarType dtype) const override;
  torch::Tensor dequantized_weight() const override { return weight_; }

  void observe(Observer observer) { observer_ = std::move(observer); }
  const torch::Tensor& float_weight() const { return weight_; }
  const torch::Tensor& bias() const { return bias_; }

 private:
  torch::Tensor weight_, bias_;
  Observer observer_;
};

}  // namespace precis
