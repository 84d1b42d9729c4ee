#include "plugins/awq/quantizer.h"
#include "plugins/grouped_back_end.h"

namespace precis::awq::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

device::AwqTensor tensor_of(const AwqQuantizer& quantizer, const precis_param& param) {
  quantizer.check_layout(param);
  const kernels::AwqShape shape = quantizer.shape_of(param);
  narrow(shape.rows);
  narrow(shape.columns);
  return {*quantizer.settings().layout, shape, nullptr, nullptr, kernels::WeightType::f16, nullptr};
}

device::AwqTensor stored_tensor(const AwqQuantizer& quantizer, const Work& work,
                                const sdk::ConstParts& parts) {
  quantizer.check_zeros(parts);
  device::AwqTensor tensor = tensor_of(quantizer, work.param());
  tensor.qweight = work.data<const void>(*parts[kCodes], "qweight");
  tensor.qzeros = work.data<const void>(*parts[kZeros], "the zero points");
  tensor.scale_type = plugins::weight_type(parts[kScales]->view.dtype);
  tensor.scales = work.data<const void>(*parts[kScales], "scales");
  return tensor;
}

class Awq final : public GroupedBackEnd<AwqQuantizer> {
 protected:
  void encode(const AwqQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const device::AwqTensor planned = tensor_of(quantizer, work.param());
    require_whole_words(planned.shape.group_size,
                        planned.layout == kernels::AwqLayout::gemv_fast ? 32 : 8);
    require_launched(device::quantize_awq(
        work.type(), work.data<const void>(weight, "the weight"), planned.layout, planned.shape,
        work.data<void>(*parts[kCodes], "qweight"),
        work.data<void>(*parts[kZeros], "the zero points"),
        work.data<uint16_t>(*parts[kScales], "scales"), work.stream()));
  }

  device::GroupedTensor planned(const AwqQuantizer& quantizer,
                                const precis_param& param) const override {
    return tensor_of(quantizer, param);
  }
  device::GroupedTensor stored(const AwqQuantizer& quantizer, const Work& work,
                               const sdk::ConstParts& parts) const override {
    return stored_tensor(quantizer, work, parts);
  }
};

}  // namespace
}  // namespace precis::awq::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(awq::AwqQuantizer, awq::PRECIS_DEVICE::Awq)
