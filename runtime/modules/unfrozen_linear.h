// A Linear that will be quantized, still with its float weight.
#pragma once

#include "runtime/modules/quantized_linear.h"

namespace precis {

// Computes what the quantized layer will compute, encoding its weight anew for every call: the
// weight may still be changed, as between quanto's quantize() and freeze(). Its state dict is that
// of the float layer. forward: [any thread, while nobody changes the weight].
class UnfrozenLinear : public QuantizedLayer {
 public:
  // weight: [out_features, in_features], of param's dtype; bias: [out_features] or undefined. The
  // tensors themselves become the layer's.
  UnfrozenLinear(std::shared_ptr<const Quantizer> quantizer, Param param, torch::Tensor weight,
                 torch::Tensor bias, Arithmetic arithmetic);

  // Throws c10::Error, with the plugin's message when the weight cannot be encoded.
  torch::Tensor forward(const torch::Tensor& x) override;
  // The float weight, not rounded.
  void restore(const ModuleSite& site, at::ScalarType dtype) const override;
  // What the method makes of the weight as it is now.
  torch::Tensor dequantized_weight() const override;

  // The layer with the weight as it is now. Errors: the plugin's.
  Result<std::shared_ptr<QuantizedLinear>> freeze() const;

 private:
  torch::Tensor weight_, bias_;
  Arithmetic arithmetic_;
};

}  // namespace precis
