#include "models/layers/activation.h"

#include <ATen/ATen.h>

#include <stdexcept>

namespace precis::models {

Activation activation(const std::string& name) {
  if (name == "gelu") return [](const at::Tensor& x) { return at::gelu(x); };
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu-approximate") {
    return [](const at::Tensor& x) { return at::gelu(x, "tanh"); };
  }
  if (name == "quick_gelu") {
    return [](const at::Tensor& x) { return x * at::sigmoid(1.702 * x); };
  }
  if (name == "relu") return [](const at::Tensor& x) { return at::relu(x); };
  if (name == "silu" || name == "swish") return [](const at::Tensor& x) { return at::silu(x); };
  throw std::invalid_argument("activation '" + name +
                              "' is not among gelu, gelu_new, gelu_pytorch_tanh, "
                              "gelu-approximate, quick_gelu, relu, silu, swish");
}

}  // namespace precis::models
