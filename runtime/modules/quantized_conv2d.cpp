#include "runtime/modules/quantized_conv2d.h"

#include <ATen/ATen.h>

#include "runtime/modules/module_tree.h"
#include "runtime/modules/widened_products.h"

namespace precis {

QuantizedConv2d::QuantizedConv2d(QuantizedWeight weight, Options options, torch::Tensor bias)
    : QuantizedLayer(std::move(weight)), options_(std::move(options)) {
  if (bias.defined()) {
    bias_ = register_parameter("bias", std::move(bias), /*requires_grad=*/false);
  }
}

torch::Tensor QuantizedConv2d::forward(const torch::Tensor& x) {
  const at::NoGradGuard no_grad;
  const torch::Tensor weight = dequantized_weight().to(x.scalar_type());
  const torch::Tensor bias = bias_.defined() ? bias_.to(x.scalar_type()) : bias_;
  return widening_conv2d(x, weight, bias, options_);
}

void QuantizedConv2d::restore(const ModuleSite& site, at::ScalarType dtype) const {
  torch::nn::Conv2d layer(torch::nn::Conv2dOptions(1, 1, 1).bias(bias_.defined()));
  layer->options = options_;
  layer->weight.set_data(dequantized_weight().to(dtype));
  if (bias_.defined()) layer->bias.set_data(bias_.to(dtype));
  precis::replace_module(site, layer);
}

}  // namespace precis
