// A weight in the stored form of a method: what a quantized layer owns.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "core/abi/quantizer.h"
#include "core/base/result.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {

struct LogicalTensor;

// Makes the memory of a part, in part_shape().
using PartMemory = std::function<Result<at::Tensor>(const PartSpec&)>;

// The parts of one weight, with the quantizer that made or reads them. Immutable in shape; the
// parts are CPU tensors in the order that the quantizer expects.
struct QuantizedWeight {
  Param param;  // name, dtype and shape of the weight as numbers
  std::shared_ptr<const Quantizer> quantizer;
  std::vector<PartSpec> specs;  // names relative to the module: "weight.absmax"
  std::vector<at::Tensor> parts;

  // Encodes `weight`, which has the dtype and shape of `param`; copied where it is not contiguous.
  // memory: where the parts are to be. Errors: the plugin's, with the parameter's name.
  static Result<QuantizedWeight> encode(std::shared_ptr<const Quantizer> quantizer, Param param,
                                        const at::Tensor& weight,
                                        const PartMemory& memory = empty_part);

  // The parts of a tensor that a checkpoint stores quantized. shape: of the weight, for formats
  // whose checkpoints do not tell it. map: parts stay in the checkpoint's files (stored_tensor)
  // where they can; else they are copied. Errors: those of reading.
  static Result<QuantizedWeight> from_checkpoint(const LogicalTensor& tensor, at::IntArrayRef shape,
                                                 bool map);

  // Rows [row_begin, row_begin + rows) as numbers, in the dtype of `param`.
  Result<at::Tensor> decode_rows(int64_t row_begin, int64_t rows) const;

  uint64_t bytes() const;
};

}  // namespace precis
