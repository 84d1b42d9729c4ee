// What every device.cpp shares. Compiled with it once for each back end of the build, with
// PRECIS_DEVICE defined as its namespace.
#pragma once

#include "plugins/device_work.h"
#include "plugins/product_tensors.h"

namespace precis::plugins::PRECIS_DEVICE {

// [out_features, in_features] of a product. Throws PRECIS_UNSUPPORTED for what none takes.
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
  narrow(matrix.rows);
  narrow(matrix.columns);
  narrow(static_cast<uint64_t>(options.max_rows));
  return matrix;
}

// A DeviceMethod of this back end; what a plugin says of it stands in the virtual functions below,
// which run with the work's device as the current one.
template <typename Quantizer>
class BackEnd : public DeviceMethod<Quantizer> {
 public:
  int32_t type() const final { return kDeviceType; }
  std::string fault(int32_t index) const final { return device::device_fault(index); }

  void quantize(const Quantizer& quantizer, const precis_call& call, const precis_param& param,
                const precis_tensor& weight, const sdk::Parts& parts) const final {
    const OnDevice current(weight.view.device);
    encode(quantizer, Work(call, param, weight.view.device), weight, parts);
  }
  void dequantize(const Quantizer& quantizer, const precis_call& call, const precis_param& param,
                  const sdk::ConstParts& parts, sdk::RowRange rows,
                  const precis_tensor& weight) const final {
    const OnDevice current(weight.view.device);
    decode(quantizer, Work(call, param, weight.view.device), parts, rows, weight);
  }
  void plan_linear(const Quantizer& quantizer, const precis_linear_options& options,
                   const precis_param& param, sdk::PlanWriter& plan) const final {
    device_product_shape(options, param);
    plan.keeps_parts();
    plan_product(quantizer, options, param, plan);
  }
  std::unique_ptr<sdk::Linear> prepare_linear(const Quantizer& quantizer, const precis_call& call,
                                              const precis_linear_options& options,
                                              const precis_param& param,
                                              const sdk::ConstParts& parts,
                                              const sdk::Parts& packed) const final {
    const OnDevice current(options.device);
    device_product_shape(options, param);
    return prepare(quantizer, Work(call, param, options.device), options, parts, packed);
  }

 protected:
  virtual void encode(const Quantizer&, const Work&, const precis_tensor& /*weight*/,
                      const sdk::Parts& /*parts*/) const {
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "on a device such weights are decoded and multiplied; they are encoded "
                           "on the CPU");
  }
  virtual void decode(const Quantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
                      sdk::RowRange rows, const precis_tensor& weight) const = 0;
  // What the product needs beside the parts, which are kept; default: nothing.
  virtual void plan_product(const Quantizer&, const precis_linear_options&, const precis_param&,
                            sdk::PlanWriter&) const {}
  virtual std::unique_ptr<sdk::Linear> prepare(const Quantizer& quantizer, const Work& work,
                                               const precis_linear_options& options,
                                               const sdk::ConstParts& parts,
                                               const sdk::Parts& packed) const = 0;

  // For decode of what has no rows to begin with.
  static void require_all_rows(const Work& work, sdk::RowRange rows) {
    if (rows.count() != work.matrix().rows)
      throw sdk::PluginError(PRECIS_UNSUPPORTED,
                             "on a device such weights are decoded all at once");
  }
};

// Of weights that are decoded on a device and multiplied by whoever asks for them.
template <typename Quantizer>
class Decoder : public BackEnd<Quantizer> {
 protected:
  void plan_product(const Quantizer&, const precis_linear_options&, const precis_param&,
                    sdk::PlanWriter&) const final {
    refuse_product();
  }
  std::unique_ptr<sdk::Linear> prepare(const Quantizer&, const Work&, const precis_linear_options&,
                                       const sdk::ConstParts&, const sdk::Parts&) const final {
    refuse_product();
  }
  [[noreturn]] static void refuse_product() {
    throw sdk::PluginError(
        PRECIS_UNSUPPORTED,
        "on a device such weights are decoded, and have no product of their own");
  }
};

// Of a product, y = x W^T + bias.
struct ProductArguments {
  const precis_call& call;
  const void *x, *bias;
  void* y;
  uint32_t m;
  kernels::WeightType activation;

  void require_workspace(uint64_t bytes) const {
    if (call.workspace_size < bytes)
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
  }
};

// The workspace of activations that stay numbers of their dtype.
inline uint64_t numbers_bytes(uint64_t m, uint64_t columns) {
  return m * columns * sizeof(uint16_t);
}

// Launch: const char*(const ProductArguments&), which enqueues the product on the call's stream: no
// allocation, no synchronisation.
template <typename Launch>
class DeviceProduct final : public sdk::Linear {
 public:
  DeviceProduct(const precis_linear_options& options, const sdk::Matrix& matrix, Launch launch)
      : options_(options), matrix_(matrix), launch_(std::move(launch)) {}

  void forward(const precis_call& call, const precis_tensor& x, const precis_tensor* bias,
               precis_tensor& y) const override {
    const auto rows = static_cast<uint32_t>(checked_rows(options_, matrix_, x, bias, y));
    if (rows == 0 || matrix_.rows == 0) return;
    const OnDevice current(options_.device);
    require_launched(launch_(ProductArguments{
        call, device_data<const void>(x, options_.device, "x"),
        bias == nullptr ? nullptr : device_data<const void>(*bias, options_.device, "the bias"),
        device_data<void>(y, options_.device, "y"), rows, weight_type(options_.activation)}));
  }

 private:
  precis_linear_options options_;
  sdk::Matrix matrix_;
  Launch launch_;
};

template <typename Launch>
std::unique_ptr<sdk::Linear> device_product(const precis_linear_options& options, const Work& work,
                                            Launch launch) {
  return std::make_unique<DeviceProduct<Launch>>(options, work.matrix(), std::move(launch));
}

template <typename Quantizer>
struct MethodOf;
template <typename Quantizer>
const DeviceMethod<Quantizer>& method() {
  static const typename MethodOf<Quantizer>::Type instance;
  return instance;
}

}  // namespace precis::plugins::PRECIS_DEVICE

// At namespace scope, outside of any: `Method` is the BackEnd of `Quantizer`.
#define PRECIS_DEVICE_METHOD(Quantizer, Method)                \
  namespace precis::plugins::PRECIS_DEVICE {                   \
  template <>                                                  \
  struct MethodOf<Quantizer> {                                 \
    using Type = Method;                                       \
  };                                                           \
  template const DeviceMethod<Quantizer>& method<Quantizer>(); \
  }
