#include "runtime/modules/unfrozen_linear.h"

#include <ATen/ATen.h>

#include "runtime/modules/module_tree.h"

namespace precis {

UnfrozenLinear::UnfrozenLinear(std::shared_ptr<const Quantizer> quantizer, Param param,
                               torch::Tensor weight, torch::Tensor bias, Arithmetic arithmetic)
    : QuantizedLayer({std::move(param), std::move(quantizer), {}, {}}), arithmetic_(arithmetic) {
  weight_ = register_parameter("weight", std::move(weight), /*requires_grad=*/false);
  if (bias.defined()) {
    bias_ = register_parameter("bias", std::move(bias), /*requires_grad=*/false);
  }
}

torch::Tensor UnfrozenLinear::forward(const torch::Tensor& x) {
  const auto frozen = freeze();
  TORCH_CHECK(frozen.ok(), frozen.error().text());
  return (*frozen)->forward(x);
}

void UnfrozenLinear::restore(const ModuleSite& site, at::ScalarType dtype) const {
  precis::replace_module(site, float_linear(weight_.to(dtype), bias_));
}

torch::Tensor UnfrozenLinear::dequantized_weight() const {
  const auto frozen = freeze();
  TORCH_CHECK(frozen.ok(), frozen.error().text());
  return (*frozen)->dequantized_weight();
}

Result<std::shared_ptr<QuantizedLinear>> UnfrozenLinear::freeze() const {
  PRECIS_ASSIGN(QuantizedWeight encoded,
                QuantizedWeight::encode(weight().quantizer, weight().param, weight_));
  return std::make_shared<QuantizedLinear>(std::move(encoded), bias_, arithmetic_);
}

}  // namespace precis
