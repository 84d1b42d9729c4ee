#include "kernels/device/decoders.h"
#include "plugins/back_end.h"
#include "plugins/eetq/quantizer.h"

namespace precis::eetq::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

class Eetq final : public Decoder<EetqQuantizer> {
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
    require_launched(device::dequantize_eetq(
        work.data<const uint8_t>(*parts[kCodes], "the codes"),
        work.data<const uint16_t>(*parts[kScales], "the scales"), narrow(work.matrix().rows),
        narrow(work.matrix().columns), plugins::weight_type(weight.view.dtype),
        work.data<void>(weight, "the weight"), work.stream()));
  }
};

}  // namespace
}  // namespace precis::eetq::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(eetq::EetqQuantizer, eetq::PRECIS_DEVICE::Eetq)
