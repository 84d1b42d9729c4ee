// Weights of a ScaledQuantizer on a device.
#pragma once

#include "kernels/device/scaled.h"
#include "plugins/rounded_back_end.h"

#include "plugins/scaled_quantizer.h"

namespace precis::plugins::PRECIS_DEVICE {

// The stored weight with the device's addresses; what stored() reads passes through the host.
inline device::ScaledTensor scaled_tensor(const ScaledQuantizer& quantizer, const Work& work,
                                          const sdk::ConstParts& parts) {
  const precis_param& param = work.param();
  quantizer.check_numbers(param);
  quantizer.check_parts(param, parts);
  quantizer.check_stored(param, parts);
  narrow(work.matrix().columns);
  const HostCopies copies(work, parts, [&](std::size_t i) { return quantizer.reads(param, i); });
  device::ScaledTensor tensor{narrow(work.matrix().rows), quantizer.stored(param, copies.parts())};
  for (std::size_t i = 0; i < parts.size() && tensor.weight.tile_of != nullptr; ++i)
    if (static_cast<const void*>(tensor.weight.tile_of) == copies.copy(i))
      tensor.weight.tile_of = work.data<const int32_t>(*parts[i], "the groups of columns");
  return tensor;
}

template <typename Quantizer>
class ScaledBackEnd final : public BackEnd<Quantizer> {
 public:
  void check(const Quantizer& quantizer, const precis_param& param) const override {
    quantizer.check_numbers(param);
  }

 protected:
  void encode(const Quantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const auto plan = quantizer.encoding(work.param(), parts);
    if (!plan) return BackEnd<Quantizer>::encode(quantizer, work, weight, parts);
    narrow(work.matrix().columns);
    const auto part = [&](int i, const char* name) -> void* {
      return i < 0 ? nullptr : work.data<void>(*parts.at(static_cast<std::size_t>(i)), name);
    };
    require_launched(device::quantize_scaled(
        work.type(), work.data<const void>(weight, "the weight"), narrow(work.matrix().rows),
        plan->encoding,
        {plan->one_tile, plan->whole_divisor,
         static_cast<float*>(part(plan->whole_scale, "the scale of the whole weight"))},
        {part(plan->codes, "the codes"), part(plan->scales, "the scales"),
         part(plan->zeros, "the zero points"), widens_scales(*plan, work.param(), parts)},
        work.stream()));
    for (const auto& [i, bytes] : plan->constants)
      work.write(*parts.at(static_cast<std::size_t>(i)), bytes.data(), bytes.size());
  }

  void decode(const Quantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    this->require_all_rows(work, rows);
    require_launched(device::dequantize_scaled(
        scaled_tensor(quantizer, work, parts), weight_type(weight.view.dtype),
        work.data<void>(weight, "the weight"), work.stream()));
  }

  void plan_product(const Quantizer& quantizer, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    if (const auto rounding = quantizer.activations(param))
      plan_numbers(options, sdk::matrix(param).columns, *rounding, plan);
  }

  std::unique_ptr<sdk::Linear> prepare(const Quantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts&) const override {
    const device::ScaledTensor tensor = scaled_tensor(quantizer, work, parts);
    if (const char* error = device::check_scaled_product(tensor))
      throw sdk::PluginError(PRECIS_UNSUPPORTED, error);
    const auto launch = [tensor](const ProductArguments& a, const void* x) {
      return device::linear_scaled(tensor, a.activation, x, a.bias, a.y, a.m, a.call.stream);
    };
    return device_product(
        options, work,
        [launch, rounding = quantizer.activations(work.param()),
         columns = work.matrix().columns](const ProductArguments& a) -> const char* {
          return rounding ? with_numbers(a, columns, *rounding, launch) : launch(a, a.x);
        });
  }
};

}  // namespace precis::plugins::PRECIS_DEVICE
