#include "plugins/auto_round/quantizer.h"
#include "plugins/grouped_back_end.h"

namespace precis::auto_round::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

// Without its parts.
device::GroupedTensor tensor_of(const AutoRoundQuantizer& quantizer, const precis_param& param) {
  quantizer.check_layout(param);
  const sdk::Matrix matrix = sdk::matrix(param);
  narrow(matrix.rows);
  narrow(matrix.columns);
  constexpr auto kHalf = kernels::WeightType::f16;
  if (quantizer.is_awq())
    return device::AwqTensor{
        kernels::AwqLayout::gemm, quantizer.awq_shape(param), nullptr, nullptr, kHalf, nullptr};
  return device::GptqTensor{quantizer.gptq_format(param),
                            quantizer.gptq_shape(param),
                            nullptr,
                            nullptr,
                            kHalf,
                            nullptr,
                            nullptr};
}

device::GroupedTensor stored_tensor(const AutoRoundQuantizer& quantizer, const Work& work,
                                    const sdk::ConstParts& parts) {
  device::GroupedTensor tensor = tensor_of(quantizer, work.param());
  std::visit(
      [&](auto& found) {
        if constexpr (requires { found.qweight; }) {
          found.qweight =
              work.data<std::remove_pointer_t<decltype(found.qweight)>>(*parts[kCodes], "qweight");
          found.qzeros =
              work.data<std::remove_pointer_t<decltype(found.qzeros)>>(*parts[kZeros], "qzeros");
          found.scale_type = plugins::weight_type(parts[kScales]->view.dtype);
          found.scales = work.data<const void>(*parts[kScales], "scales");
        }
      },
      tensor);
  auto* gptq = std::get_if<device::GptqTensor>(&tensor);
  if (gptq != nullptr && parts.size() > kGroups)
    gptq->group_of =
        reordered_groups(work, *parts[kGroups], gptq->shape,
                         [&](const int32_t* groups) { check_groups(groups, gptq->shape); });
  return tensor;
}

class AutoRound final : public GroupedBackEnd<AutoRoundQuantizer> {
 protected:
  device::GroupedTensor planned(const AutoRoundQuantizer& quantizer,
                                const precis_param& param) const override {
    return tensor_of(quantizer, param);
  }
  device::GroupedTensor stored(const AutoRoundQuantizer& quantizer, const Work& work,
                               const sdk::ConstParts& parts) const override {
    return stored_tensor(quantizer, work, parts);
  }
};

}  // namespace
}  // namespace precis::auto_round::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(auto_round::AutoRoundQuantizer, auto_round::PRECIS_DEVICE::AutoRound)
