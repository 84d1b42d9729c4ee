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

// Where a torch tensor lives, by DLPack's codes. Error unsupported: another device than CPU, CUDA
// and ROCm.
Result<precis_device> abi_device_of(const at::Tensor& tensor);

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

// Memory for a part as a method plans it, on the CPU, in part_shape().
Result<at::Tensor> empty_part(const PartSpec& spec);

// The bytes of a contiguous CPU tensor.
std::span<std::byte> bytes_of(const at::Tensor& tensor);

}  // namespace precis
