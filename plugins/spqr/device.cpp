#include "kernels/device/decoders.h"
#include "plugins/back_end.h"
#include "plugins/spqr/quantizer.h"
#include "plugins/spqr/stored.h"

namespace precis::spqr::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

// All but the tiles passes through the host, which looks through the places that it names.
class Spqr final : public Decoder<SpqrQuantizer> {
 protected:
  void decode(const SpqrQuantizer&, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    require_all_rows(work, rows);
    const HostCopies copies(work, parts, [](std::size_t i) { return i != 0; });
    const Stored stored = stored_weight(work.param(), copies.parts(), rows);
    std::vector<uint32_t> places(stored.columns_of.size());
    for (uint32_t i = 0; i < places.size(); ++i) places[stored.columns_of[i]] = i;
    const Uploaded on_device(work, places);
    require_launched(device::dequantize_spqr(
        {narrow(stored.rows), narrow(stored.columns), stored.dense,
         work.data<const int32_t>(*parts[1], "the offsets"), stored.in_turn,
         work.data<const uint32_t>(*parts[2], "the outliers"), on_device.data()},
        plugins::weight_type(weight.view.dtype), work.data<void>(weight, "the weight"),
        work.stream()));
  }
};

}  // namespace
}  // namespace precis::spqr::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(spqr::SpqrQuantizer, spqr::PRECIS_DEVICE::Spqr)
