#include "kernels/device/aqlm.h"

#include "plugins/aqlm/quantizer.h"
#include "plugins/back_end.h"

namespace precis::aqlm::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

kernels::AqlmWeight stored_weight(const AqlmQuantizer& quantizer, const Work& work,
                                  const sdk::ConstParts& parts) {
  for (const precis_tensor* part : parts) work.data<const void>(*part, "a part");
  narrow(work.matrix().rows);
  narrow(work.matrix().columns);
  return quantizer.stored_weight(work.param(), parts);
}

class Aqlm final : public BackEnd<AqlmQuantizer> {
 public:
  void check(const AqlmQuantizer& quantizer, const precis_param& param) const override {
    if (const char* error = device::check_aqlm(quantizer.shape_of(param)))
      throw sdk::PluginError(PRECIS_UNSUPPORTED, error);
  }

 protected:
  void decode(const AqlmQuantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    check(quantizer, work.param());
    require_all_rows(work, rows);
    require_launched(device::dequantize_aqlm(stored_weight(quantizer, work, parts),
                                             plugins::weight_type(weight.view.dtype),
                                             work.data<void>(weight, "the weight"), work.stream()));
  }

  void plan_product(const AqlmQuantizer& quantizer, const precis_linear_options&,
                    const precis_param& param, sdk::PlanWriter&) const override {
    check(quantizer, param);
  }

  std::unique_ptr<sdk::Linear> prepare(const AqlmQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts&) const override {
    quantizer.check_parts(work.param(), parts);
    check(quantizer, work.param());
    const kernels::AqlmWeight stored = stored_weight(quantizer, work, parts);
    return device_product(options, work, [stored](const ProductArguments& a) {
      return device::linear_aqlm(stored, a.activation, a.x, a.bias, a.y, a.m, a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::aqlm::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(aqlm::AqlmQuantizer, aqlm::PRECIS_DEVICE::Aqlm)
