#include "kernels/device/ternary.h"

#include "plugins/back_end.h"
#include "plugins/bitnet/quantizer.h"

namespace precis::bitnet::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

// The scale passes through the host.
device::TernaryTensor stored_weight(const BitNetQuantizer& quantizer, const Work& work,
                                    const sdk::ConstParts& parts) {
  const HostCopies copies(work, parts, [](std::size_t i) { return i == kScale; });
  return {narrow(work.matrix().rows), narrow(work.matrix().columns),
          work.data<const uint8_t>(*parts[kCodes], "the codes"),
          quantizer.step(plugins::floats_of(*copies.parts()[kScale], 0, 1).front())};
}

class BitNet final : public BackEnd<BitNetQuantizer> {
 protected:
  void encode(const BitNetQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    require_launched(device::quantize_ternary(
        work.type(), work.data<const void>(weight, "the weight"), narrow(work.matrix().rows),
        narrow(work.matrix().columns), quantizer.stores_step(),
        work.workspace<double>(work.matrix().rows), work.data<uint8_t>(*parts[kCodes], "the codes"),
        work.data<void>(*parts[kScale], "the scale"), work.stream()));
  }

  void decode(const BitNetQuantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    require_all_rows(work, rows);
    require_launched(device::dequantize_ternary(
        stored_weight(quantizer, work, parts), plugins::weight_type(weight.view.dtype),
        work.data<void>(weight, "the weight"), work.stream()));
  }

  void plan_product(const BitNetQuantizer& quantizer, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    quantizer.check_layout(param);
    plan.workspace(device::ternary_workspace(static_cast<uint64_t>(options.max_rows),
                                             sdk::matrix(param).columns));
  }

  std::unique_ptr<sdk::Linear> prepare(const BitNetQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts&) const override {
    quantizer.check_parts(work.param(), parts);
    const device::TernaryTensor tensor = stored_weight(quantizer, work, parts);
    return device_product(options, work, [tensor](const ProductArguments& a) -> const char* {
      a.require_workspace(device::ternary_workspace(a.m, tensor.columns));
      return device::linear_ternary(tensor, a.activation, a.x, a.bias, a.y, a.m, a.call.workspace,
                                    a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::bitnet::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(bitnet::BitNetQuantizer, bitnet::PRECIS_DEVICE::BitNet)
