// An Embedding with a quantized weight.
#pragma once

#include "runtime/modules/quantized_layer.h"

namespace precis {

// A row of W for each index; on the CPU only the rows that are asked for are decoded. forward: [any
// thread].
class QuantizedEmbedding : public QuantizedLayer {
 public:
  using QuantizedLayer::QuantizedLayer;

  // indices: int32 or int64 of any shape, on the parts' device; gives [..., embedding_dim] in the
  // dtype that the weight was quantized from. Throws c10::Error for an index outside of the table.
  torch::Tensor forward(const torch::Tensor& indices) override;
  void restore(const ModuleSite& site, at::ScalarType dtype) const override;
};

}  // namespace precis
