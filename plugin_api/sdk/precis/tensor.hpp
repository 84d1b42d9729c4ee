// Reading and writing the ABI's tensors, parameters and plans from C++.
#ifndef PRECIS_SDK_TENSOR_HPP
#define PRECIS_SDK_TENSOR_HPP

#include <precis/precis.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "error.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

inline constexpr precis_dtype kFloat32{PRECIS_TYPE_FLOAT, 32, 1};
inline constexpr precis_dtype kFloat16{PRECIS_TYPE_FLOAT, 16, 1};
inline constexpr precis_dtype kBFloat16{PRECIS_TYPE_BFLOAT, 16, 1};
inline constexpr precis_dtype kUInt8{PRECIS_TYPE_UINT, 8, 1};
inline constexpr precis_dtype kInt8{PRECIS_TYPE_INT, 8, 1};
inline constexpr precis_dtype kInt16{PRECIS_TYPE_INT, 16, 1};
inline constexpr precis_dtype kInt32{PRECIS_TYPE_INT, 32, 1};
inline constexpr precis_dtype kInt64{PRECIS_TYPE_INT, 64, 1};
inline constexpr precis_dtype kFloat8E4M3FN{PRECIS_TYPE_FLOAT8_E4M3FN, 8, 1};
inline constexpr precis_dtype kFloat8E5M2{PRECIS_TYPE_FLOAT8_E5M2, 8, 1};
inline constexpr precis_dtype kFloat8E8M0FNU{PRECIS_TYPE_FLOAT8_E8M0FNU, 8, 1};

inline bool same(precis_dtype a, precis_dtype b) {
  return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes;
}
inline bool is_weight_dtype(precis_dtype dtype) {
  return same(dtype, kFloat32) || same(dtype, kFloat16) || same(dtype, kBFloat16);
}
// "float32": PyTorch's name; for messages and configs. Empty for dtypes weights do not have.
inline std::string_view torch_name(precis_dtype dtype) {
  if (same(dtype, kFloat32)) return "float32";
  if (same(dtype, kFloat16)) return "float16";
  if (same(dtype, kBFloat16)) return "bfloat16";
  return "";
}

// Start of the data; the tensor must be contiguous, else PRECIS_UNSUPPORTED: the host copies and
// retries.
template <typename T>
T* data(const precis_tensor& tensor) {
  int64_t expected = 1;
  for (int32_t i = tensor.view.ndim; i-- > 0;) {
    if (tensor.view.shape[i] > 1 && tensor.view.strides[i] != expected) {
      throw PluginError(PRECIS_UNSUPPORTED, "the tensor is not contiguous");
    }
    expected *= tensor.view.shape[i];
  }
  return reinterpret_cast<T*>(static_cast<std::byte*>(tensor.view.data) + tensor.view.byte_offset);
}

// Error PRECIS_FAILED_PRECONDITION for more elements than a number of 63 bits counts, and for
// dimensions below 0: a product that wrapped around would pass for the size of a small tensor.
inline uint64_t elements(int32_t ndim, const int64_t* shape) {
  constexpr auto kMost = static_cast<uint64_t>(INT64_MAX);
  uint64_t count = 1;
  for (int32_t i = 0; i < ndim; ++i) {
    const auto size = static_cast<uint64_t>(shape[i]);
    if (size > kMost || (size != 0 && count > kMost / size))
      throw PluginError(PRECIS_FAILED_PRECONDITION, "a shape of more elements than can be counted");
    count *= size;
  }
  return count;
}

// A parameter as [rows, columns]: rows is the first dimension, columns the product of the others.
struct Matrix {
  uint64_t rows = 1, columns = 1;
  uint64_t elements() const { return rows * columns; }
};
inline Matrix matrix(const precis_param& param) {
  if (param.ndim < 0) {
    throw PluginError(PRECIS_FAILED_PRECONDITION,
                      "the shape of '" + std::string(view(param.name)) + "' is not known");
  }
  if (param.ndim == 0) return {};
  return {static_cast<uint64_t>(param.shape[0]), elements(param.ndim - 1, param.shape + 1)};
}

// "weight" of "blocks.0.to_q.weight", and "blocks.0.to_q".
inline std::string_view leaf(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}
inline std::string_view module_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(0, dot);
}

// Fills a precis_plan by the capacity rule: everything is counted, what fits is written.
class PlanWriter {
 public:
  explicit PlanWriter(precis_plan* plan) : plan_(plan) {
    plan->flags = 0;
    plan->count = 0;
    plan->workspace_size = 0;
  }

  // name: static or owned by the quantizer.
  void add(std::string_view name, precis_dtype dtype, const std::vector<int64_t>& shape,
           uint64_t nbytes, const char* encoding = nullptr) {
    const uint32_t index = plan_->count++;
    if (index >= plan_->capacity) return;
    precis_tensor_spec& spec = *plan_->outputs[index];
    spec.flags = 0;
    spec.name = str(name);
    spec.dtype = dtype;
    spec.ndim = static_cast<int32_t>(shape.size());
    for (std::size_t i = 0; i < 8; ++i) spec.shape[i] = i < shape.size() ? shape[i] : 0;
    spec.nbytes = nbytes;
    spec.alignment = 0;
    spec.encoding = encoding;
    spec.layout = nullptr;
  }
  // A tensor of plain numbers of whole bytes.
  void add_numbers(std::string_view name, precis_dtype dtype, const std::vector<int64_t>& shape) {
    add(name, dtype, shape,
        elements(static_cast<int32_t>(shape.size()), shape.data()) * (dtype.bits / 8u));
  }
  void workspace(uint64_t bytes) { plan_->workspace_size = bytes; }
  // precis.linear/1: forward reads the parts themselves.
  void keeps_parts() { plan_->flags |= PRECIS_LINEAR_KEEPS_PARTS; }

  // precis.calibration/1: finish may scale the activation.
  void scales_activation() { plan_->flags |= PRECIS_CALIBRATION_SCALES; }

  void finish() const {
    if (plan_->count > plan_->capacity) {
      throw PluginError(PRECIS_INVALID_ARGUMENT, "the plan needs room for more tensors");
    }
  }

 private:
  precis_plan* plan_;
};

PRECIS_SDK_NAMESPACE_END

#endif
