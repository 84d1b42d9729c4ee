#include "kernels/device/higgs.h"

#include <cmath>

#include "plugins/back_end.h"
#include "plugins/higgs/quantizer.h"

namespace precis::higgs::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

device::HiggsTensor stored_weight(const HiggsQuantizer& quantizer, const Work& work,
                                  const sdk::ConstParts& parts) {
  const Config& scheme = quantizer.scheme();
  const auto size = static_cast<uint64_t>(scheme.hadamard_size);
  device::HiggsTensor tensor{};
  tensor.rows = narrow(work.matrix().rows);
  tensor.columns = narrow(work.matrix().columns);
  tensor.bits = static_cast<uint32_t>(scheme.bits);
  tensor.tile = narrow(quantizer.tile(sdk::module_of(sdk::view(work.param().name))));
  tensor.group = narrow(static_cast<uint64_t>(scheme.group_size));
  tensor.words = work.data<const uint16_t>(*parts[kWeight], "the codes");
  tensor.scales = work.floats(*parts[kScales]);
  if (tensor.scales.type == kernels::WeightType::f32)
    throw sdk::PluginError(PRECIS_DATA_LOSS, "'scales' must be float16 or bfloat16");
  tensor.pairs = work.data<const uint32_t>(*parts[kTables], "the pairs");
  tensor.rotation = {kernels::RotationKind::twos,
                     narrow(size),
                     1 / std::sqrt(static_cast<double>(size)),
                     {},
                     false};
  return tensor;
}

class Higgs final : public BackEnd<HiggsQuantizer> {
 public:
  void check(const HiggsQuantizer& quantizer, const precis_param&) const override {
    if (quantizer.scheme().hadamard_size > kernels::kMostRotated)
      throw sdk::PluginError(PRECIS_UNSUPPORTED, "on a device at most " +
                                                     std::to_string(kernels::kMostRotated) +
                                                     " columns are rotated together");
  }

 protected:
  void decode(const HiggsQuantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    check(quantizer, work.param());
    require_all_rows(work, rows);
    require_launched(device::dequantize_higgs(
        stored_weight(quantizer, work, parts), plugins::weight_type(weight.view.dtype),
        work.data<void>(weight, "the weight"), work.stream()));
  }

  void plan_product(const HiggsQuantizer& quantizer, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    check(quantizer, param);
    plan.workspace(device::higgs_workspace(static_cast<uint64_t>(options.max_rows),
                                           sdk::matrix(param).columns));
  }

  std::unique_ptr<sdk::Linear> prepare(const HiggsQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts&) const override {
    check(quantizer, work.param());
    quantizer.check_parts(work.param(), parts);
    const device::HiggsTensor tensor = stored_weight(quantizer, work, parts);
    return device_product(options, work, [tensor](const ProductArguments& a) -> const char* {
      a.require_workspace(device::higgs_workspace(a.m, tensor.columns));
      return device::linear_higgs(tensor, a.activation, a.x, a.bias, a.y, a.m, a.call.workspace,
                                  a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::higgs::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(higgs::HiggsQuantizer, higgs::PRECIS_DEVICE::Higgs)
