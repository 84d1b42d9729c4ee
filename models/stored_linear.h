// A dense layer whose weight stays in the stored form of a quantization method.
#pragma once

#include <memory>
#include <vector>

#include "core/engine/plan.h"
#include "runtime/modules/quantized_layer.h"

namespace precis::models {

// Decodes its weight for every call and multiplies in floating point, which every method can do and
// which gives the numbers that the Python libraries' decoding gives.
class StoredLinear : public QuantizedLayer {
 public:
  // Quantizes the source weight of `plan`, whose action is quantize. bias: undefined for none, may
  // be filled later. dtype: what the weight is decoded to. Errors: those of the plugin and of
  // reading.
  static Result<std::shared_ptr<StoredLinear>> quantize(const TensorPlan& plan, at::Tensor bias,
                                                        at::ScalarType dtype);
  // Takes a weight over that the checkpoint stores quantized.
  static Result<std::shared_ptr<StoredLinear>> load(const LogicalTensor& source, at::Tensor bias,
                                                    at::ScalarType dtype);

  // x: [..., in_features]; gives [..., out_features]. Throws c10::Error.
  at::Tensor forward(const at::Tensor& x) override;
  at::Tensor dequantized_weight() const override;

  // Of the stored parts.
  uint64_t stored_bytes() const;

 private:
  StoredLinear(Param param, std::shared_ptr<const Quantizer> quantizer, at::Tensor bias,
               at::ScalarType dtype);
  std::span<std::byte> add_part(PartSpec spec);

  Param param_;
  std::shared_ptr<const Quantizer> quantizer_;
  std::vector<PartSpec> specs_;
  std::vector<at::Tensor> parts_;  // bytes
  at::Tensor bias_;
  at::ScalarType dtype_;
};

// core's name of a floating dtype of torch. Error unsupported for others.
Result<DType> core_dtype(at::ScalarType dtype);

}  // namespace precis::models
