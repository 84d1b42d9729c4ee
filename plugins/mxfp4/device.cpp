#include "kernels/device/decoders.h"
#include "plugins/back_end.h"
#include "plugins/mxfp4/quantizer.h"

namespace precis::mxfp4::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

// [experts, in_features, out_features]
class Experts final : public Decoder<ExpertsQuantizer> {
 protected:
  void decode(const ExpertsQuantizer&, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    require_all_rows(work, rows);
    check_parts(work.param(), parts);
    const int64_t* shape = work.param().shape;
    const auto side = [&](int i) { return narrow(static_cast<uint64_t>(shape[i])); };
    require_launched(
        device::dequantize_experts(work.data<const uint8_t>(*parts[0], "the blocks"),
                                   work.data<const uint8_t>(*parts[1], "the scales"), side(0),
                                   side(2), side(1), plugins::weight_type(weight.view.dtype),
                                   work.data<void>(weight, "the weight"), work.stream()));
  }
};

}  // namespace
}  // namespace precis::mxfp4::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(mxfp4::ExpertsQuantizer, mxfp4::PRECIS_DEVICE::Experts)
