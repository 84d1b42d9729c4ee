// Core's parameters, tensors and plans as the ABI's structs.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/abi/call.h"
#include "core/abi/quantizer.h"

namespace precis {

// A precis_param that borrows from a Param.
class AbiParam {
 public:
  // param: outlives this.
  explicit AbiParam(Param&&) = delete;
  explicit AbiParam(const Param& param) {
    if (param.importance && !param.importance->empty()) {
      importance_shape_ = static_cast<int64_t>(param.importance->size());
      importance_ = {};
      importance_.struct_size = sizeof(precis_tensor);
      importance_.flags = PRECIS_TENSOR_READ_ONLY;
      importance_.view = {const_cast<float*>(param.importance->data()),
                          kCpuDevice,
                          1,
                          to_abi(DType::f32),
                          &importance_shape_,
                          &importance_stride_,
                          0};
      importance_.nbytes = param.importance->size() * sizeof(float);
    }
    abi_ = {};
    abi_.struct_size = sizeof(precis_param);
    if (param.calibrated) abi_.flags |= PRECIS_PARAM_CALIBRATED;
    if (param.on_grid) abi_.flags |= PRECIS_PARAM_GRID;
    abi_.name = to_abi(param.name);
    abi_.module_kind = to_abi(param.module_kind);
    abi_.dtype = to_abi(param.dtype);
    abi_.ndim = param.shape_known ? static_cast<int32_t>(param.shape.size()) : -1;
    abi_.shape = param.shape.data();
    abi_.device = kCpuDevice;
    abi_.importance = importance_.nbytes > 0 ? &importance_ : nullptr;
  }
  AbiParam(const AbiParam&) = delete;
  AbiParam& operator=(const AbiParam&) = delete;

  const precis_param* get() const { return &abi_; }

 private:
  int64_t importance_shape_ = 0;
  int64_t importance_stride_ = 1;
  precis_tensor importance_{};
  precis_param abi_;
};

// A precis_tensor over contiguous memory of a device.
class AbiTensor {
 public:
  AbiTensor(const std::byte* data, uint64_t nbytes, DType dtype, std::span<const int64_t> shape,
            const std::string& encoding, bool read_only, precis_device device = kCpuDevice)
      : shape_(shape.begin(), shape.end()), strides_(contiguous_strides(shape)) {
    abi_.struct_size = sizeof(precis_tensor);
    if (read_only) abi_.flags |= PRECIS_TENSOR_READ_ONLY;
    if (reinterpret_cast<uintptr_t>(data) % 64 == 0) abi_.flags |= PRECIS_TENSOR_ALIGNED_64;
    abi_.view = {const_cast<std::byte*>(data),
                 device,
                 static_cast<int32_t>(shape_.size()),
                 to_abi(dtype),
                 shape_.data(),
                 strides_.data(),
                 0};
    abi_.nbytes = nbytes;
    abi_.encoding = encoding.empty() ? nullptr : encoding.c_str();
  }
  AbiTensor(const AbiTensor&) = delete;
  AbiTensor& operator=(const AbiTensor&) = delete;

  precis_tensor* get() { return &abi_; }

 private:
  std::vector<int64_t> shape_, strides_;
  precis_tensor abi_{};
};

// Contiguous tensors for `specs` over `buffers`, one each, and the array of pointers the ABI takes.
class AbiTensors {
 public:
  AbiTensors(std::span<const PartSpec> specs, std::span<const std::span<std::byte>> buffers,
             precis_device device = kCpuDevice);
  AbiTensors(std::span<const PartSpec> specs, std::span<const std::span<const std::byte>> buffers,
             precis_device device = kCpuDevice);

  precis_tensor* const* pointers() const { return pointers_.data(); }
  const precis_tensor* const* const_pointers() const { return pointers_.data(); }
  uint64_t count() const { return pointers_.size(); }

 private:
  std::vector<std::unique_ptr<AbiTensor>> tensors_;
  std::vector<precis_tensor*> pointers_;
};

// Calls `ask` with room for a plan, again with more room when it needs more. `flags` may be null.
Result<PartPlan> ask_for_plan(
    const std::function<precis_status(const precis_call*, precis_plan*)>& ask,
    uint32_t* flags = nullptr);

}  // namespace precis
