#include "runtime/calibration/observed_linear.h"

#include <ATen/ATen.h>

#include "runtime/modules/quantized_linear.h"
#include "runtime/modules/widened_products.h"

namespace precis {

ObservedLinear::ObservedLinear(Param param, torch::Tensor weight, torch::Tensor bias)
    : QuantizedLayer({std::move(param), nullptr, {}, {}}) {
  weight_ = register_parameter("weight", std::move(weight), /*requires_grad=*/false);
  if (bias.defined()) {
    bias_ = register_parameter("bias", std::move(bias), /*requires_grad=*/false);
  }
}

torch::Tensor ObservedLinear::forward(const torch::Tensor& x) {
  if (observer_) observer_(*this, x);
  return widening_linear(x, weight_, bias_);
}

void ObservedLinear::restore(const ModuleSite& site, at::ScalarType dtype) const {
  precis::replace_module(site, float_linear(weight_.to(dtype), bias_));
}

}  // namespace precis
