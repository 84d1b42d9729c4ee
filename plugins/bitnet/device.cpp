#include "kernels/device/decoders.h"
#include "plugins/back_end.h"
#include "plugins/bitnet/quantizer.h"

namespace precis::bitnet::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

// The scale passes through the host.
class BitNet final : public Decoder<BitNetQuantizer> {
 protected:
  void encode(const BitNetQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    require_launched(device::quantize_ternary(
        work.type(), work.data<const void>(weight, "the weight"), narrow(work.matrix().rows),
        narrow(work.matrix().columns), quantizer.stores_step(),
        work.workspace<double>(work.matrix().rows), work.data<uint8_t>(*parts[kCodes], "the codes"),
        work.data<void>(*parts[kScale], "the scale"), work.stream()));
  }

  void decode(const BitNetQuantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    require_all_rows(work, rows);
    const HostCopies copies(work, parts, [](std::size_t i) { return i == kScale; });
    const float step = quantizer.step(plugins::floats_of(*copies.parts()[kScale], 0, 1).front());
    require_launched(device::dequantize_ternary(
        work.data<const uint8_t>(*parts[kCodes], "the codes"), step, narrow(work.matrix().rows),
        narrow(work.matrix().columns), plugins::weight_type(weight.view.dtype),
        work.data<void>(weight, "the weight"), work.stream()));
  }
};

}  // namespace
}  // namespace precis::bitnet::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(bitnet::BitNetQuantizer, bitnet::PRECIS_DEVICE::BitNet)
