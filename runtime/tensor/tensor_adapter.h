// Torch tensors as tensors of the plugin ABI and back, without copying.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <span>
#include <vector>

#include "core/abi/quantizer.h"
#include "core/base/dtype.h"
#include "core/base/result.h"
#include "precis/tensor.h"

namespace precis {

// The dtype of a torch tensor in core's terms. Error unsupported: torch's quantized and complex
// types, which no method stores.
Result<DType> dtype_of(at::ScalarType type);
// The reverse. Error unsupported: the float6 and float4 formats, which torch has no type for.
Result<at::ScalarType> scalar_type_of(DType dtype);

// A torch tensor as the ABI sees it. Borrows the tensor's memory and owns shape and strides; the
// tensor outlives it. A tensor without elements is fine.
class TensorView {
 public:
  static Result<TensorView> of(const at::Tensor& tensor);
  TensorView(TensorView&& other) noexcept = default;
  TensorView& operator=(TensorView&&) = delete;

  precis_tensor* get();

 private:
  TensorView() = default;

  std::vector<int64_t> shape_, strides_;
  precis_tensor abi_{};
};

// A contiguous CPU tensor over memory of the ABI or of a checkpoint; the memory outlives it.
// Error unsupported: see scalar_type_of.
Result<at::Tensor> tensor_over(std::span<std::byte> memory, DType dtype,
                               std::span<const int64_t> shape);

// The shape of a part as the Python libraries hold it: encoded blocks are bytes of shape [rows,
// bytes of a row].
std::vector<int64_t> part_shape(const PartSpec& spec);

// Memory for a part as a method plans it, in part_shape().
Result<at::Tensor> empty_part(const PartSpec& spec, const at::Device& device = at::kCPU);

// A workspace of a call.
at::Tensor empty_bytes(uint64_t count, const at::Device& device = at::kCPU);

// The bytes of a contiguous tensor, in its device's memory.
std::span<std::byte> bytes_of(const at::Tensor& tensor);

}  // namespace precis
