// A Linear with a quantized weight.
#pragma once

#include <torch/nn/modules/linear.h>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/abi/linear.h"
#include "runtime/modules/activation_rounding.h"
#include "runtime/modules/quantized_layer.h"

namespace precis {

// How products with quantized weights are computed.
enum class Arithmetic {
  library,  // as the Python library of the format does
  fast,  // x may be rounded further where a method is faster with it: GGUF's to 8 bits, as ggml's
};

// y = x W^T + b. The product is the method's own where it has precis.linear/1 for the dtype of x on
// the parts' device; elsewhere rows of W are decoded and multiplied by torch, on the CPU a few
// megabytes at a time, so that W is never whole in memory. On another device the work goes to
// torch's current stream and is not waited for. The state dict has the method's parts and `bias`.
// forward: [any thread].
class QuantizedLinear : public QuantizedLayer {
 public:
  // bias: [out_features] or undefined; the tensor itself becomes the layer's.
  QuantizedLinear(QuantizedWeight weight, torch::Tensor bias,
                  Arithmetic arithmetic = Arithmetic::library);

  // x: [..., in_features], float32, float16 or bfloat16, on the parts' device. y: [...,
  // out_features] in the dtype of x. Throws c10::Error.
  torch::Tensor forward(const torch::Tensor& x) override;
  void restore(const ModuleSite& site, at::ScalarType dtype) const override;
  void forget_products() override;

  // [out_features] or undefined.
  const torch::Tensor& bias() const { return bias_; }
  // From now on inputs, and outputs where asked for, are rounded; the scales are those that
  // `rounding` shares with the layer's parts. While a Calibration lives, forward changes them: [one
  // thread at a time] then.
  void round_activations(ActivationRounding rounding) { rounding_ = std::move(rounding); }

  const std::optional<ActivationRounding>& rounding() const { return rounding_; }

  // Whether the method's own product serves x of this dtype.
  bool has_product(at::ScalarType activation);

 private:
  // A product of the method, made for one dtype of x.
  struct Product {
    std::unique_ptr<Linear> linear;  // null: the method has none
    std::vector<at::Tensor> packed;
    uint64_t workspace_bytes = 0;
    std::vector<const void*> parts;  // where those that it was prepared from are
  };

  torch::Tensor multiply(const torch::Tensor& x);
  const Product& product(at::ScalarType activation);
  Result<Product> make_product(at::ScalarType activation) const;
  void multiply_by_method(const Product& product, const torch::Tensor& x, const torch::Tensor& bias,
                          torch::Tensor& y) const;
  void multiply_decoded(const torch::Tensor& x, const torch::Tensor& bias, torch::Tensor& y) const;

  torch::Tensor bias_;
  Arithmetic arithmetic_;
  std::optional<ActivationRounding> rounding_;
  std::mutex mutex_;
  // Guarded by mutex_. An entry is replaced when the parts were moved, as by Module::to, which
  // nobody does to a layer at work.
  std::map<at::ScalarType, Product> products_;
};

// A torch::nn::Linear that holds `weight` [out_features, in_features] and `bias` [out_features],
// undefined for none, cast to the weight's dtype.
torch::nn::Linear float_linear(const torch::Tensor& weight, const torch::Tensor& bias);

}  // namespace precis
