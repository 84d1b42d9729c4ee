// A Conv2d with a quantized weight.
#pragma once

#include <torch/nn/modules/conv.h>

#include "runtime/modules/quantized_layer.h"

namespace precis {

// The weight is decoded for every call: a convolution's weight is small against its work.
// forward: [any thread].
class QuantizedConv2d : public QuantizedLayer {
 public:
  using Options = decltype(torch::nn::Conv2dImpl::options);

  // options: of the layer that is replaced, padded with zeros. bias: [out_channels] or undefined;
  // the tensor itself becomes the layer's.
  QuantizedConv2d(QuantizedWeight weight, Options options, torch::Tensor bias);

  // x: [batch, in_channels, height, width]. Throws c10::Error.
  torch::Tensor forward(const torch::Tensor& x) override;
  void restore(const ModuleSite& site, at::ScalarType dtype) const override;

 private:
  Options options_;
  torch::Tensor bias_;
};

}  // namespace precis
