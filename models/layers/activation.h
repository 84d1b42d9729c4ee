// Activation functions by the names that config.json gives them.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace precis::models {

using Activation = at::Tensor (*)(const at::Tensor&);

// "gelu", "gelu_new" and "gelu_pytorch_tanh" (the tanh approximation), "gelu-approximate" (as
// diffusers calls it), "quick_gelu" (x sigmoid(1.702 x)), "relu", "silu" and "swish": the table of
// transformers' ACT2FN, as far as networks here use it. Error: std::invalid_argument for others.
Activation activation(const std::string& name);

}  // namespace precis::models
