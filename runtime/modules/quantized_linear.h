// A Linear with a quantized weight.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/abi/linear.h"
#include "runtime/modules/quantized_layer.h"
#include "runtime/modules/quantized_weight.h"

namespace precis {

// y = x W^T + b. The product is the method's own where it has precis.linear/1 for the dtype of x;
// elsewhere rows of W are decoded a few megabytes at a time and multiplied by torch, so that W is
// never whole in memory. The state dict has the method's parts by the library's names and `bias`.
// Inference only: no gradient flows through it. forward: [any thread].
class QuantizedLinear : public QuantizedLayer {
 public:
  // bias: [out_features] or undefined.
  QuantizedLinear(QuantizedWeight weight, torch::Tensor bias);

  // x: [..., in_features], float32, float16 or bfloat16, on the CPU. y: [..., out_features] in the
  // dtype of x. Throws c10::Error.
  torch::Tensor forward(const torch::Tensor& x) override;
  torch::Tensor dequantized_weight() const override;

  const QuantizedWeight& weight() const { return weight_; }
  // [out_features] or undefined.
  const torch::Tensor& bias() const { return bias_; }
  // Whether the method's own product serves x of this dtype.
  bool has_product(at::ScalarType activation);

 private:
  // A product of the method, made for one dtype of x.
  struct Product {
    std::unique_ptr<Linear> linear;  // null: the method has none
    std::vector<at::Tensor> packed;
    uint64_t workspace_bytes = 0;
  };

  const Product& product(at::ScalarType activation);
  Result<Product> make_product(at::ScalarType activation) const;
  void multiply_by_method(const Product& product, const torch::Tensor& x, const torch::Tensor& bias,
                          torch::Tensor& y) const;
  void multiply_decoded(const torch::Tensor& x, const torch::Tensor& bias, torch::Tensor& y) const;

  QuantizedWeight weight_;
  torch::Tensor bias_;
  std::mutex mutex_;
  std::map<at::ScalarType, Product> products_;  // guarded by mutex_; entries are never removed
};

}  // namespace precis
