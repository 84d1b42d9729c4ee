#include "kernels/device/eetq.h"

#include "plugins/back_end.h"
#include "plugins/eetq/quantizer.h"

namespace precis::eetq::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

device::EetqTensor stored_weight(const Work& work, const sdk::ConstParts& parts) {
  return {narrow(work.matrix().rows), narrow(work.matrix().columns),
          work.data<const uint8_t>(*parts[kCodes], "the codes"),
          work.data<const uint16_t>(*parts[kScales], "the scales")};
}

class Eetq final : public BackEnd<EetqQuantizer> {
 protected:
  void encode(const EetqQuantizer&, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    require_launched(device::quantize_eetq(
        work.type(), work.data<const void>(weight, "the weight"), narrow(work.matrix().rows),
        narrow(work.matrix().columns), work.data<uint8_t>(*parts[kCodes], "the codes"),
        work.data<uint16_t>(*parts[kScales], "the scales"), work.stream()));
  }

  void decode(const EetqQuantizer&, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    require_all_rows(work, rows);
    require_launched(device::dequantize_eetq(stored_weight(work, parts),
                                             plugins::weight_type(weight.view.dtype),
                                             work.data<void>(weight, "the weight"), work.stream()));
  }

  void plan_product(const EetqQuantizer& quantizer, const precis_linear_options&,
                    const precis_param& param, sdk::PlanWriter&) const override {
    quantizer.check_layout(param);
  }

  std::unique_ptr<sdk::Linear> prepare(const EetqQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts&) const override {
    quantizer.check_parts(work.param(), parts);
    return device_product(
        options, work, [tensor = stored_weight(work, parts)](const ProductArguments& a) {
          return device::linear_eetq(tensor, a.activation, a.x, a.bias, a.y, a.m, a.call.stream);
        });
  }
};

}  // namespace
}  // namespace precis::eetq::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(eetq::EetqQuantizer, eetq::PRECIS_DEVICE::Eetq)
