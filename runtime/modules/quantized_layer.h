// A layer whose weight is kept in the stored form of a quantization method.
#pragma once

#include <torch/nn/module.h>

#include "runtime/modules/quantized_weight.h"

namespace precis {

struct ModuleSite;

// Takes the place of a torch::nn::Linear, Conv2d or Embedding in a module tree. Its state dict has
// the method's parts under the names that the Python library gives them. Inference only: no
// gradient flows through it.
class QuantizedLayer : public torch::nn::Module {
 public:
  explicit QuantizedLayer(QuantizedWeight weight);

  // The layer's output for `input`, as the layer that it replaced would compute it. Throws
  // c10::Error.
  virtual torch::Tensor forward(const torch::Tensor& input) = 0;

  // Puts the float layer, its weight decoded and cast to `dtype`, in this one's place.
  virtual void restore(const ModuleSite& site, at::ScalarType dtype) const = 0;

  // The whole weight as numbers, in the dtype it was quantized from. Costs the memory of the float
  // matrix. Throws c10::Error.
  virtual torch::Tensor dequantized_weight() const;

  // Lets go of what was prepared of the parts for products; the next product prepares it anew.
  virtual void forget_products() {}

  const QuantizedWeight& weight() const { return weight_; }

 private:
  QuantizedWeight weight_;
};

}  // namespace precis
