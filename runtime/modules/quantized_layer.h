// A layer whose weight is kept in the stored form of a quantization method.
#pragma once

#include <torch/nn/module.h>

namespace precis {

// Takes the place of a torch::nn::Linear, Conv2d or Embedding in a module tree. Its state dict has
// the method's parts under the names that the Python library gives them.
class QuantizedLayer : public torch::nn::Module {
 public:
  // The layer's output for `input`, as the layer that it replaced would compute it. Throws
  // c10::Error.
  virtual torch::Tensor forward(const torch::Tensor& input) = 0;

  // The whole weight as numbers, in the dtype it is computed in. Costs the memory of the float
  // matrix.
  virtual torch::Tensor dequantized_weight() const = 0;
};

}  // namespace precis
