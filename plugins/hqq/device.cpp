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

class Hqq final : public GroupedBackEnd<HqqQuantizer> {
 protected:
  void encode(const HqqQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const Description description = quantizer.description_of(work.param());
    const kernels::HqqGrid grid = description.grid();
    if (grid.axis != 1 || grid.columns % 8 != 0)
      return GroupedBackEnd::encode(quantizer, work, weight, parts);
    for (std::size_t part = kShape; part < kPartCount; ++part) {
      const std::string bytes = describing_bytes(description, quantizer.offloads_meta(), part);
      if (!bytes.empty()) work.write(*parts[part], bytes.data(), bytes.size());
    }
    bool exact = true;
    require_launched(device::quantize_hqq(
        work.type(), work.data<const void>(weight, "the weight"),
        {grid, description.scheme.levels(), description.scheme.round_zero,
         description.scheme.optimize ? kIterations : 0, groups_together(grid)},
        work.data<void>(*parts[kCodes], "W_q"), work.data<void>(*parts[kScale], "scale"),
        work.data<void>(*parts[kZero], "zero"), &exact, work.stream()));
    if (!exact)
      throw sdk::PluginError(PRECIS_UNSUPPORTED,
                             "on a device no weight is fitted whose errors are beyond 0.17: the "
                             "fit takes powers of them, whose bits are the C library's");
  }

  device::GroupedTensor planned(const HqqQuantizer& quantizer,
                                const precis_param& param) const override {
    const sdk::Matrix matrix = sdk::matrix(param);
    const Description description = quantizer.description_of(param);
    return device::HqqTensor{
        {description.grid(), nullptr, plugins::weight_type(description.compute),
         kernels::WeightType::f32, nullptr, nullptr},
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
