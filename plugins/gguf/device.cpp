// Compiled once for each back end, with PRECIS_DEVICE defined as its namespace.
#include "plugins/gguf/device.h"

#include <optional>

#include "kernels/device/gguf.h"
#include "kernels/device/host_runtime.h"
#include "plugins/device.h"

namespace precis::gguf::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using device::GgufType;
using plugins::device_data;
using plugins::require_launched;

std::optional<GgufType> find_type(std::string_view name) {
  if (name == "q8_0") return GgufType::q8_0;
  if (name == "q4_0") return GgufType::q4_0;
  if (name == "q4_k") return GgufType::q4_k;
  return std::nullopt;
}

bool knows(std::string_view type) {
  return find_type(type).has_value();
}

void quantize(const precis_call& call, std::string_view type, const precis_param& param,
              const precis_tensor& weight, const precis_tensor& blocks) {
  if (param.importance != nullptr)
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "on a device blocks are encoded without an importance matrix");
  const precis_device where = weight.view.device;
  const device::CurrentDevice current(where.index);
  const sdk::Matrix matrix = sdk::matrix(param);
  require_launched(device::quantize_gguf(
      *find_type(type), plugins::weight_type(param.dtype),
      device_data<const void>(weight, where, "the weight"), static_cast<uint32_t>(matrix.rows),
      static_cast<uint32_t>(matrix.columns), device_data<uint8_t>(blocks, where, "the blocks"),
      call.stream));
}

void dequantize(const precis_call& call, std::string_view type, const precis_tensor& blocks,
                uint64_t first, const precis_tensor& weight) {
  const precis_device where = weight.view.device;
  const device::CurrentDevice current(where.index);
  const uint64_t count = sdk::elements(weight.view.ndim, weight.view.shape);
  if (first % 16 != 0 || count >= uint64_t{1} << 32)
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "on a device the rows begin at a multiple of 16 bytes, and there are "
                           "fewer than 2^32 elements");
  const device::GgufTensor tensor{*find_type(type), 1, static_cast<uint32_t>(count),
                                  device_data<const uint8_t>(blocks, where, "the blocks") + first};
  require_launched(device::dequantize_gguf(tensor, plugins::weight_type(weight.view.dtype),
                                           device_data<void>(weight, where, "the weight"),
                                           call.stream));
}

class Product final : public plugins::DeviceProduct {
 public:
  Product(const precis_linear_options& options, const sdk::Matrix& matrix,
          const device::GgufTensor& weight)
      : DeviceProduct(options, matrix), weight_(weight) {}

 private:
  void launch(const precis_call& call, const Arguments& a) const override {
    const device::CurrentDevice current(options_.device.index);
    require_launched(
        device::linear_gguf(weight_, a.activation, a.x, a.bias, a.y, a.m, call.stream));
  }
  device::GgufTensor weight_;
};

std::unique_ptr<sdk::Linear> prepare(const precis_linear_options& options,
                                     const precis_param& param, std::string_view type,
                                     const precis_tensor& blocks) {
  const sdk::Matrix matrix = plugins::device_product_shape(options, param);
  return std::make_unique<Product>(
      options, matrix,
      device::GgufTensor{*find_type(type), static_cast<uint32_t>(matrix.rows),
                         static_cast<uint32_t>(matrix.columns),
                         device_data<const uint8_t>(blocks, options.device, "the blocks")});
}

constexpr int32_t device_type() {
#if defined(PRECIS_DEVICE_SIMT)
  return plugins::kExecutorDevice;
#else
  return PRECIS_DEVICE_CUDA;
#endif
}

std::string fault(int32_t index) {
  return device::device_fault(index);
}

}  // namespace

const DeviceMethods& methods() {
  static constexpr DeviceMethods kMethods{device_type(), fault,      knows,
                                          quantize,      dequantize, prepare};
  return kMethods;
}

}  // namespace precis::gguf::PRECIS_DEVICE
