// Parameters that a checkpoint fills.
#pragma once

#include <torch/nn/module.h>

#include <string>

namespace precis::models {

// Registers a parameter of this shape in the default dtype. Its memory is reserved but not touched,
// so a network costs nothing until its weights are read.
at::Tensor uninitialised(torch::nn::Module& module, const std::string& name, at::IntArrayRef shape);

}  // namespace precis::models
