#include "plugins/gptq/quantizer.h"
#include "plugins/grouped_back_end.h"

namespace precis::gptq::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

device::GptqTensor tensor_of(const GptqQuantizer& quantizer, const precis_param& param) {
  const kernels::GptqShape shape = quantizer.shape_of(param);
  narrow(shape.rows);
  narrow(shape.columns);
  return {quantizer.settings().format, shape,   nullptr, nullptr,
          kernels::WeightType::f16,    nullptr, nullptr};
}

// g_idx is looked through on the host.
device::GptqTensor stored_tensor(const GptqQuantizer& quantizer, const Work& work,
                                 const sdk::ConstParts& parts) {
  device::GptqTensor tensor = tensor_of(quantizer, work.param());
  tensor.qweight = work.data<const uint32_t>(*parts[kCodes], "qweight");
  tensor.qzeros = work.data<const uint32_t>(*parts[kZeros], "qzeros");
  tensor.scale_type = plugins::weight_type(parts[kScales]->view.dtype);
  tensor.scales = work.data<const void>(*parts[kScales], "scales");
  if (parts.size() > kGroups)
    tensor.group_of =
        reordered_groups(work, *parts[kGroups], tensor.shape,
                         [&](const int32_t* groups) { check_groups(groups, tensor.shape); });
  return tensor;
}

class Gptq final : public GroupedBackEnd<GptqQuantizer> {
 protected:
  void encode(const GptqQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const Config& config = quantizer.settings();
    const kernels::GptqShape shape = quantizer.shape_of(work.param());
    if (shape.groups() > 1) require_whole_words(shape.group_size, 32);
    require_launched(device::quantize_gptq(
        work.type(), work.data<const void>(weight, "the weight"), config.format, config.symmetric,
        shape, work.data<uint32_t>(*parts[kCodes], "qweight"),
        work.data<uint32_t>(*parts[kZeros], "qzeros"),
        work.data<uint16_t>(*parts[kScales], "scales"), work.stream()));
    std::vector<int32_t> group_of(shape.columns);
    for (uint64_t i = 0; i < shape.columns; ++i)
      group_of[i] = static_cast<int32_t>(i / shape.group_size);
    work.write(*parts[kGroups], group_of.data(), group_of.size() * sizeof(int32_t));
  }

  device::GroupedTensor planned(const GptqQuantizer& quantizer,
                                const precis_param& param) const override {
    quantizer.check_layout(param);
    return tensor_of(quantizer, param);
  }
  device::GroupedTensor stored(const GptqQuantizer& quantizer, const Work& work,
                               const sdk::ConstParts& parts) const override {
    return stored_tensor(quantizer, work, parts);
  }
};

}  // namespace
}  // namespace precis::gptq::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(gptq::GptqQuantizer, gptq::PRECIS_DEVICE::Gptq)
