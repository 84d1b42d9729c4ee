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
// parts are on one device, in the order that the quantizer expects.
struct QuantizedWeight {
  Param param;  // name, dtype and shape of the weight as numbers
  std::shared_ptr<const Quantizer> quantizer;
  std::vector<PartSpec> specs;  // names relative to the module: "weight.absmax"
  std::vector<at::Tensor> parts;

  // Encodes `weight`, which has the dtype and shape of `param`, on its device; copied where it is
  // not contiguous. Where the plugin decodes and multiplies on that device and encodes on the CPU,
  // the weight goes there and the parts come back. memory: where the parts are to be, on the
  // weight's device; empty: wherever. Errors: the plugin's, with the parameter's name; unsupported
  // where it has no kernels for the device.
  static Result<QuantizedWeight> encode(std::shared_ptr<const Quantizer> quantizer, Param param,
                                        const at::Tensor& weight, const PartMemory& memory = {});

  // The parts of a tensor that a checkpoint stores quantized. shape: of the weight, for formats
  // whose checkpoints do not tell it. map: parts stay in the checkpoint's files (stored_tensor)
  // where they can; else they are copied. Errors: those of reading.
  static Result<QuantizedWeight> from_checkpoint(const LogicalTensor& tensor, at::IntArrayRef shape,
                                                 bool map);

  at::Device device() const;

  // Rows [row_begin, row_begin + rows) as numbers, in the dtype of `param`, on the parts' device.
  // Some methods decode nothing but all rows on a device (unsupported).
  Result<at::Tensor> decode_rows(int64_t row_begin, int64_t rows) const;

  uint64_t bytes() const;
};

// What a plan for a device other than the CPU was refused with, and what to do.
Error without_kernels(Error refusal, const Quantizer& quantizer, const Param& param);

}  // namespace precis
