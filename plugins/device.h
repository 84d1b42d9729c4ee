// A plugin's work on devices: tensors in device memory, and products over kernels/device.
//
// A plugin with device kernels has one source that is compiled once for each back end of the build
// (precis_plugin_devices in CMake), and reaches it by a table: bitsandbytes/device.h is the
// pattern.
#pragma once

#include <precis/plugin.hpp>
#include <string>

#include "plugins/parts.h"
#include "plugins/weight_type.h"

namespace precis::plugins {

// DLPack's kDLExtDev: the executor of kernels/simt, whose memory is the host's. Test builds of
// plugins have it in a device's place.
inline constexpr int32_t kExecutorDevice = 12;

inline bool on_cpu(precis_device device) {
  return device.type == PRECIS_DEVICE_CPU;
}
inline bool on_cpu(const precis_tensor& tensor) {
  return on_cpu(tensor.view.device);
}

// "cuda:0".
inline std::string device_name(precis_device device) {
  const std::string index = ":" + std::to_string(device.index);
  switch (device.type) {
    case PRECIS_DEVICE_CPU:
      return "cpu" + index;
    case PRECIS_DEVICE_CUDA:
      return "cuda" + index;
    case PRECIS_DEVICE_ROCM:
      return "rocm" + index;
    case kExecutorDevice:
      return "executor" + index;
    default:
      return "device type " + std::to_string(device.type) + index;
  }
}

// What a kernel's launcher answered. Throws PRECIS_DEVICE_ERROR.
inline void require_launched(const char* error) {
  if (error != nullptr) throw sdk::PluginError(PRECIS_DEVICE_ERROR, error);
}

// The entry of the build's tables that has the device's type and can use it. Throws
// PRECIS_UNSUPPORTED with the reason where there is none. Table: has `type` and `fault(index)`.
template <typename Table>
const Table& usable_device(const std::vector<const Table*>& tables, precis_device device) {
  for (const Table* table : tables) {
    if (table->type != device.type) continue;
    const std::string fault = table->fault(device.index);
    if (fault.empty()) return *table;
    throw sdk::PluginError(PRECIS_UNSUPPORTED, device_name(device) + ": " + fault);
  }
  throw sdk::PluginError(PRECIS_UNSUPPORTED,
                         device_name(device) + ": this build of the plugin has no kernels for it");
}

// The CPU and, for every index, the devices of the tables: precis_method.devices. The tables live
// as long as the process.
template <typename Table>
void add_devices(const std::vector<const Table*>& tables, precis_method& method) {
  static const std::vector<precis_device> devices = [&] {
    std::vector<precis_device> list{sdk::kAnyCpu};
    for (const Table* table : tables) list.push_back({table->type, -1});
    return list;
  }();
  method.devices = devices.data();
  method.device_count = static_cast<uint32_t>(devices.size());
}

// [out_features, in_features] of a product on a device. Throws PRECIS_UNSUPPORTED for what none
// takes.
inline sdk::Matrix device_product_shape(const precis_linear_options& options,
                                        const precis_param& param) {
  using sdk::PluginError;
  if (weight_type(options.activation) == kernels::WeightType::f32)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "products on a device take activations in float16 or bfloat16");
  if (param.ndim != 2)
    throw PluginError(PRECIS_UNSUPPORTED, "'" + std::string(sdk::view(param.name)) +
                                              "' is not a matrix [out_features, in_features]");
  if (options.max_rows < 1) throw PluginError(PRECIS_INVALID_ARGUMENT, "max_rows is below 1");
  const sdk::Matrix matrix = sdk::matrix(param);
  if (matrix.columns % 8 != 0)
    throw PluginError(PRECIS_UNSUPPORTED,
                      "in_features " + std::to_string(matrix.columns) + " is not a multiple of 8");
  if (matrix.rows >= 1u << 31 || matrix.columns >= 1u << 31)
    throw PluginError(PRECIS_UNSUPPORTED, "a side of the weight is 2^31 or more");
  return matrix;
}

// The start of a tensor that kernels read: on `device`, contiguous, aligned to 16 bytes.
template <typename T>
T* device_data(const precis_tensor& tensor, precis_device device, const char* name) {
  const precis_device found = tensor.view.device;
  if (found.type != device.type || found.index != device.index)
    throw sdk::PluginError(
        PRECIS_INVALID_ARGUMENT,
        std::string(name) + " is on " + device_name(found) + ", not on " + device_name(device));
  T* data = sdk::data<T>(tensor);
  if (reinterpret_cast<uintptr_t>(data) % 16 != 0)
    throw sdk::PluginError(PRECIS_UNSUPPORTED, std::string(name) + " is not aligned to 16 bytes");
  return data;
}

// y = x W^T + bias on a device: checks the tensors and launches.
class DeviceProduct : public sdk::Linear {
 public:
  struct Arguments {
    const void *x, *bias;
    void* y;
    uint32_t m;
    kernels::WeightType activation;
  };

  DeviceProduct(const precis_linear_options& options, const sdk::Matrix& matrix)
      : options_(options), matrix_(matrix) {}

  void forward(const precis_call& call, const precis_tensor& x, const precis_tensor* bias,
               precis_tensor& y) const final {
    const auto fits = [this](const precis_tensor& tensor, uint64_t columns) {
      return sdk::same(tensor.view.dtype, options_.activation) && tensor.view.ndim == 2 &&
             static_cast<uint64_t>(tensor.view.shape[1]) == columns;
    };
    if (!fits(x, matrix_.columns) || !fits(y, matrix_.rows) || x.view.shape[0] != y.view.shape[0] ||
        x.view.shape[0] > options_.max_rows) {
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT,
                             "x must be [rows, " + std::to_string(matrix_.columns) +
                                 "] and y [rows, " + std::to_string(matrix_.rows) +
                                 "] of the planned dtype, with at most the planned " +
                                 std::to_string(options_.max_rows) + " rows");
    }
    if (bias != nullptr && (!sdk::same(bias->view.dtype, options_.activation) ||
                            sdk::elements(bias->view.ndim, bias->view.shape) != matrix_.rows))
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT,
                             "the bias has not the planned shape or dtype");
    const auto rows = static_cast<uint32_t>(x.view.shape[0]);
    if (rows == 0 || matrix_.rows == 0) return;
    launch(call,
           {device_data<const void>(x, options_.device, "x"),
            bias == nullptr ? nullptr : device_data<const void>(*bias, options_.device, "the bias"),
            device_data<void>(y, options_.device, "y"), rows, weight_type(options_.activation)});
  }

 protected:
  // Enqueues the product on the call's stream: no allocation, no synchronisation.
  virtual void launch(const precis_call& call, const Arguments& arguments) const = 0;

  precis_linear_options options_;
  sdk::Matrix matrix_;
};

}  // namespace precis::plugins
