#include "plugins/grouped_back_end.h"
#include "plugins/hqq/quantizer.h"
#include "plugins/hqq/stored_weight.h"

namespace precis::hqq::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

// The texts and numbers that describe a weight pass through the host.
device::HqqTensor stored_tensor(const Work& work, const sdk::ConstParts& parts) {
  device::HqqTensor tensor{
      stored_weight(work.param(), parts,
                    [&](const precis_tensor& part) { return work.read(part); }),
      narrow(work.matrix().rows), narrow(work.matrix().columns)};
  narrow(tensor.weight.grid.rows);
  narrow(tensor.weight.grid.columns);
  tensor.weight.packed = work.data<const void>(*parts[kCodes], "W_q");
  tensor.weight.scales = work.data<const void>(*parts[kScale], "scale");
  tensor.weight.zeros = work.data<const void>(*parts[kZero], "zero");
  return tensor;
}

// The solver's fit is over when the error of the whole weight no longer falls: weights are encoded
// on the CPU.
class Hqq final : public GroupedBackEnd<HqqQuantizer> {
 protected:
  device::GroupedTensor planned(const HqqQuantizer& quantizer,
                                const precis_param& param) const override {
    const sdk::Matrix matrix = sdk::matrix(param);
    return device::HqqTensor{{quantizer.description_of(param).grid(), nullptr,
                              kernels::WeightType::f32, kernels::WeightType::f32, nullptr, nullptr},
                             narrow(matrix.rows),
                             narrow(matrix.columns)};
  }
  device::GroupedTensor stored(const HqqQuantizer&, const Work& work,
                               const sdk::ConstParts& parts) const override {
    return stored_tensor(work, parts);
  }
};

}  // namespace
}  // namespace precis::hqq::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(hqq::HqqQuantizer, hqq::PRECIS_DEVICE::Hqq)
