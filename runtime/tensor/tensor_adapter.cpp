#include "runtime/tensor/tensor_adapter.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <utility>

#include "runtime/tensor/device.h"

namespace precis {
namespace {

constexpr std::array<std::pair<DType, at::ScalarType>, 18> kTypes{{
    {DType::boolean, at::kBool},
    {DType::u8, at::kByte},
    {DType::i8, at::kChar},
    {DType::u16, at::kUInt16},
    {DType::i16, at::kShort},
    {DType::u32, at::kUInt32},
    {DType::i32, at::kInt},
    {DType::u64, at::kUInt64},
    {DType::i64, at::kLong},
    {DType::f16, at::kHalf},
    {DType::bf16, at::kBFloat16},
    {DType::f32, at::kFloat},
    {DType::f64, at::kDouble},
    {DType::f8_e4m3fn, at::kFloat8_e4m3fn},
    {DType::f8_e5m2, at::kFloat8_e5m2},
    {DType::f8_e8m0fnu, at::kFloat8_e8m0fnu},
    {DType::f8_e4m3fnuz, at::kFloat8_e4m3fnuz},
    {DType::f8_e5m2fnuz, at::kFloat8_e5m2fnuz},
}};

}  // namespace

Result<DType> dtype_of(at::ScalarType type) {
  for (const auto& [dtype, scalar_type] : kTypes) {
    if (scalar_type == type) return dtype;
  }
  return Error(ErrorCode::unsupported,
               fmt::format("torch's {} is no dtype of a weight", at::toString(type)));
}

Result<at::ScalarType> scalar_type_of(DType dtype) {
  for (const auto& [known, scalar_type] : kTypes) {
    if (known == dtype) return scalar_type;
  }
  return Error(ErrorCode::unsupported, fmt::format("torch has no dtype for {}", dtype_name(dtype)));
}

Result<TensorView> TensorView::of(const at::Tensor& tensor) {
  PRECIS_ASSIGN(const DType dtype, dtype_of(tensor.scalar_type()));
  PRECIS_ASSIGN(const precis_device device, abi_device_of(tensor.device()));
  TensorView view;
  view.shape_.assign(tensor.sizes().begin(), tensor.sizes().end());
  view.strides_.assign(tensor.strides().begin(), tensor.strides().end());
  view.abi_.struct_size = sizeof(precis_tensor);
  if (reinterpret_cast<uintptr_t>(tensor.data_ptr()) % 64 == 0) {
    view.abi_.flags |= PRECIS_TENSOR_ALIGNED_64;
  }
  view.abi_.view = {
      tensor.data_ptr(), device, static_cast<int32_t>(tensor.dim()), to_abi(dtype), nullptr,
      nullptr,           0};
  view.abi_.nbytes = tensor.nbytes();
  return view;
}

precis_tensor* TensorView::get() {
  abi_.view.shape = shape_.data();
  abi_.view.strides = strides_.data();
  return &abi_;
}

Result<at::Tensor> tensor_over(std::span<std::byte> memory, DType dtype,
                               std::span<const int64_t> shape) {
  PRECIS_ASSIGN(const at::ScalarType type, scalar_type_of(dtype));
  return at::from_blob(memory.data(), at::IntArrayRef(shape.data(), shape.size()),
                       at::TensorOptions().dtype(type));
}

std::vector<int64_t> part_shape(const PartSpec& spec) {
  std::vector<int64_t> shape = spec.shape;
  if (!spec.encoding.empty() && !shape.empty()) {
    int64_t rows = 1;
    for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
    shape.back() = rows == 0 ? 0 : static_cast<int64_t>(spec.nbytes) / rows;
  }
  return shape;
}

Result<at::Tensor> empty_part(const PartSpec& spec, const at::Device& device) {
  PRECIS_ASSIGN(const at::ScalarType type, scalar_type_of(spec.dtype));
  at::Tensor tensor = at::empty(part_shape(spec), at::TensorOptions().dtype(type).device(device));
  if (tensor.nbytes() != spec.nbytes) {
    return Error(ErrorCode::plugin,
                 fmt::format("part '{}' is planned with {} bytes, its shape has {}", spec.name,
                             spec.nbytes, tensor.nbytes()));
  }
  return tensor;
}

at::Tensor empty_bytes(uint64_t count, const at::Device& device) {
  return at::empty({static_cast<int64_t>(count)}, at::TensorOptions(at::kByte).device(device));
}

std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

}  // namespace precis
