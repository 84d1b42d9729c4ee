// Methods on devices. A plugin with device kernels has a device.cpp, compiled once for each back
// end of the build (precis_plugin_devices in CMake): a DeviceMethod for each of its quantizers,
// made from plugins/back_end.h. OnDevices or WeightsOnDevices lets a quantizer use them: fp8 is the
// pattern.
#pragma once

#include <precis/weight_quantizer.hpp>
#include <string>

namespace precis::plugins {

// The executor of kernels/simt, whose memory is the host's. Test builds of plugins have it in a
// device's place: as DLPack's kDLExtDev, or, where a test stands for LibTorch too, as CUDA.
#if defined(PRECIS_EXECUTOR_AS_CUDA)
inline constexpr int32_t kExecutorDevice = PRECIS_DEVICE_CUDA;
#else
inline constexpr int32_t kExecutorDevice = 12;
#endif

inline bool on_cpu(precis_device device) {
  return device.type == PRECIS_DEVICE_CPU;
}
inline bool on_cpu(const precis_tensor& tensor) {
  return on_cpu(tensor.view.device);
}

// "cuda:0".
inline std::string device_name(precis_device device) {
  const std::string index = ":" + std::to_string(device.index);
  if (device.type == PRECIS_DEVICE_CPU) return "cpu" + index;
  if (device.type == PRECIS_DEVICE_CUDA) return "cuda" + index;
  if (device.type == PRECIS_DEVICE_ROCM) return "rocm" + index;
  if (device.type == kExecutorDevice) return "executor" + index;
  return "device type " + std::to_string(device.type) + index;
}

// What `Quantizer` does, for tensors in the memory of one back end's devices; work goes to the
// call's stream.
template <typename Quantizer>
class DeviceMethod {
 public:
  virtual ~DeviceMethod() = default;

  virtual int32_t type() const = 0;  // of precis_device
  // Why device `index` cannot be used; empty: it can.
  virtual std::string fault(int32_t index) const = 0;
  // Throws PRECIS_UNSUPPORTED for a weight that has no kernels.
  virtual void check(const Quantizer&, const precis_param&) const {}

  virtual void quantize(const Quantizer& quantizer, const precis_call& call,
                        const precis_param& param, const precis_tensor& weight,
                        const sdk::Parts& parts) const = 0;
  virtual void dequantize(const Quantizer& quantizer, const precis_call& call,
                          const precis_param& param, const sdk::ConstParts& parts,
                          sdk::RowRange rows, const precis_tensor& weight) const = 0;
  virtual void plan_linear(const Quantizer& quantizer, const precis_linear_options& options,
                           const precis_param& param, sdk::PlanWriter& plan) const = 0;
  virtual std::unique_ptr<sdk::Linear> prepare_linear(
      const Quantizer& quantizer, const precis_call& call, const precis_linear_options& options,
      const precis_param& param, const sdk::ConstParts& parts, const sdk::Parts& packed) const = 0;
};

// One back end's; PRECIS_DEVICE_METHOD in device.cpp defines them.
namespace device_cuda {
inline constexpr int32_t kDeviceType = PRECIS_DEVICE_CUDA;
template <typename Quantizer>
const DeviceMethod<Quantizer>& method();
}  // namespace device_cuda
namespace device_hip {
inline constexpr int32_t kDeviceType = PRECIS_DEVICE_ROCM;
template <typename Quantizer>
const DeviceMethod<Quantizer>& method();
}  // namespace device_hip
namespace device_simt {
inline constexpr int32_t kDeviceType = kExecutorDevice;
template <typename Quantizer>
const DeviceMethod<Quantizer>& method();
}  // namespace device_simt

// Those of this build; empty without a compiler for devices.
template <typename Quantizer>
const std::vector<const DeviceMethod<Quantizer>*>& device_methods() {
  static const std::vector<const DeviceMethod<Quantizer>*> list {
#if defined(PRECIS_PLUGIN_CUDA)
    &device_cuda::method<Quantizer>(),
#endif
#if defined(PRECIS_PLUGIN_HIP)
        &device_hip::method<Quantizer>(),
#endif
#if defined(PRECIS_PLUGIN_EXECUTOR)
        &device_simt::method<Quantizer>(),
#endif
  };
  return list;
}

// The one that has the device's type and can use it. Throws PRECIS_UNSUPPORTED with the reason
// where there is none.
template <typename Quantizer>
const DeviceMethod<Quantizer>& usable_device(precis_device device) {
  for (const auto* method : device_methods<Quantizer>()) {
    if (method->type() != device.type) continue;
    const std::string fault = method->fault(device.index);
    if (fault.empty()) return *method;
    throw sdk::PluginError(PRECIS_UNSUPPORTED, device_name(device) + ": " + fault);
  }
  throw sdk::PluginError(PRECIS_UNSUPPORTED,
                         device_name(device) + ": this build of the plugin has no kernels for it");
}

// The method with the devices of the build, of every index, beside the CPU.
template <typename Quantizer>
precis_method on_devices(precis_method method) {
  static const std::vector<precis_device> devices = [] {
    std::vector<precis_device> list{sdk::kAnyCpu};
    for (const auto* found : device_methods<Quantizer>()) list.push_back({found->type(), -1});
    return list;
  }();
  method.devices = devices.data();
  method.device_count = static_cast<uint32_t>(devices.size());
  return method;
}

template <typename Quantizer>
class ProductsOnDevices : public Quantizer {
 public:
  using Quantizer::Quantizer;

  void check_device(precis_device device, const precis_param& param) const override {
    if (!on_cpu(device)) usable_device<Quantizer>(device).check(*this, param);
  }

  void plan_linear(const precis_linear_options& options, const precis_param& param,
                   sdk::PlanWriter& plan) const override {
    if (on_cpu(options.device)) return Quantizer::plan_linear(options, param, plan);
    usable_device<Quantizer>(options.device).plan_linear(*this, options, param, plan);
  }

  std::unique_ptr<sdk::Linear> prepare_linear(const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const override {
    if (on_cpu(options.device))
      return Quantizer::prepare_linear(call, options, param, parts, packed);
    return usable_device<Quantizer>(options.device)
        .prepare_linear(*this, call, options, param, parts, packed);
  }
};

// A quantizer with its devices.
template <typename Quantizer>
class OnDevices final : public ProductsOnDevices<Quantizer> {
 public:
  using ProductsOnDevices<Quantizer>::ProductsOnDevices;

  void quantize(const precis_call& call, const precis_param& param, const precis_tensor& weight,
                const sdk::Parts& parts) const override {
    if (on_cpu(weight)) return Quantizer::quantize(call, param, weight, parts);
    usable_device<Quantizer>(weight.view.device).quantize(*this, call, param, weight, parts);
  }

  void dequantize(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
                  int64_t row_begin, precis_tensor& weight) const override {
    if (on_cpu(weight)) return Quantizer::dequantize(call, param, parts, row_begin, weight);
    usable_device<Quantizer>(weight.view.device)
        .dequantize(*this, call, param, parts, sdk::rows_of(param, row_begin, weight), weight);
  }
};

// A WeightQuantizer with its devices, behind the checks of its frame.
template <typename Quantizer>
class WeightsOnDevices final : public ProductsOnDevices<Quantizer> {
 public:
  using ProductsOnDevices<Quantizer>::ProductsOnDevices;

 protected:
  void encode(const precis_call& call, const precis_param& param, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    if (on_cpu(weight)) return Quantizer::encode(call, param, weight, parts);
    usable_device<Quantizer>(weight.view.device).quantize(*this, call, param, weight, parts);
  }

  void decode(const precis_call& call, const precis_param& param, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& out) const override {
    if (on_cpu(out)) return Quantizer::decode(call, param, parts, rows, out);
    usable_device<Quantizer>(out.view.device).dequantize(*this, call, param, parts, rows, out);
  }
};

}  // namespace precis::plugins
