#include "models/layers/parameter.h"

namespace precis::models {

at::Tensor uninitialised(torch::nn::Module& module, const std::string& name,
                         at::IntArrayRef shape) {
  return module.register_parameter(name, torch::empty(shape), /*requires_grad=*/false);
}

}  // namespace precis::models
