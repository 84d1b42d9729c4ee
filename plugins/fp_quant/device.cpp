#include "kernels/device/rotated.h"
#include "kernels/device/scaled.h"
#include "plugins/back_end.h"
#include "plugins/fp_quant/quantizer.h"

namespace precis::fp_quant::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

// transposed: of activations, which the rotation meets from the other side.
kernels::Rotation rotation_of(const FpQuantQuantizer& quantizer, const Work& work,
                              const sdk::ConstParts& parts, bool transposed) {
  return {kernels::RotationKind::matrix, narrow(quantizer.rotated_columns()), 1,
          work.floats(*parts[kRotation]), transposed};
}

// The scale of scales passes through the host.
device::ScaledTensor rotated_weight(const FpQuantQuantizer& quantizer, const Work& work,
                                    const sdk::ConstParts& parts) {
  narrow(work.matrix().columns);
  const HostCopies copies(work, parts, [](std::size_t i) { return i == kGlobalScale; });
  return {narrow(work.matrix().rows), quantizer.rotated_weight(work.param(), copies.parts())};
}

class FpQuant final : public BackEnd<FpQuantQuantizer> {
 protected:
  void decode(const FpQuantQuantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    require_all_rows(work, rows);
    const auto type = plugins::weight_type(weight.view.dtype);
    auto* to = work.data<void>(weight, "the weight");
    const kernels::Rotation rotation = rotation_of(quantizer, work, parts, false);
    require_launched(quantizer.has_floats()
                         ? device::dequantize_rotated(
                               work.floats(*parts[kNumbers]), narrow(work.matrix().rows),
                               narrow(work.matrix().columns), rotation, type, to, work.stream())
                         : device::dequantize_rotated_scaled(rotated_weight(quantizer, work, parts),
                                                             rotation, type, to, work.stream()));
  }

  void plan_product(const FpQuantQuantizer& quantizer, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    if (quantizer.has_floats())
      throw sdk::PluginError(PRECIS_UNSUPPORTED,
                             "on a device rotated weights of plain numbers are decoded");
    plan.workspace(
        numbers_bytes(static_cast<uint64_t>(options.max_rows), sdk::matrix(param).columns));
  }

  std::unique_ptr<sdk::Linear> prepare(const FpQuantQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts&) const override {
    quantizer.check_parts(work.param(), parts);
    const kernels::Rotation rotation = rotation_of(quantizer, work, parts, true);
    const device::ScaledTensor tensor = rotated_weight(quantizer, work, parts);
    if (const char* error = device::check_scaled_product(tensor))
      throw sdk::PluginError(PRECIS_UNSUPPORTED, error);
    return device_product(
        options, work,
        [tensor, rotation,
         columns = narrow(work.matrix().columns)](const ProductArguments& a) -> const char* {
          a.require_workspace(numbers_bytes(a.m, columns));
          if (const char* error = device::rotate_activations(
                  a.activation, a.x, a.m, columns, rotation, a.call.workspace, a.call.stream))
            return error;
          return device::linear_scaled(tensor, a.activation, a.call.workspace, a.bias, a.y, a.m,
                                       a.call.stream);
        });
  }
};

}  // namespace
}  // namespace precis::fp_quant::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(fp_quant::FpQuantQuantizer, fp_quant::PRECIS_DEVICE::FpQuant)
