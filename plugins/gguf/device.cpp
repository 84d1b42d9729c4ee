// GGUF's blocks on devices.
#include "kernels/device/gguf.h"

#include "plugins/back_end.h"
#include "plugins/gguf/quantizer.h"

namespace precis::gguf::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;

device::GgufType type_of(const kernels::GgufCodec& codec) {
  if (const auto* shape = device::find_gguf_type(codec.name)) return shape->type;
  throw sdk::PluginError(PRECIS_UNSUPPORTED,
                         "on a device there are no kernels for " + std::string(codec.name));
}

class Blocks final : public BackEnd<GgufQuantizer> {
 protected:
  void encode(const GgufQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const device::GgufType type = type_of(planned_codec(work.param(), parts));
    if (!device::encodes(type)) return BackEnd::encode(quantizer, work, weight, parts);
    if (importance_of(work.param()) != nullptr)
      throw sdk::PluginError(PRECIS_UNSUPPORTED,
                             "on a device blocks are encoded without an importance matrix");
    require_launched(device::quantize_gguf(
        type, work.type(), work.data<const void>(weight, "the weight"), narrow(work.matrix().rows),
        narrow(work.matrix().columns), work.data<uint8_t>(*parts[0], "the blocks"), work.stream()));
  }

  void decode(const GgufQuantizer&, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    const StoredRows stored = stored_rows(work.param(), parts, rows);
    require_aligned(stored.begin);
    // As one row: blocks run on across the rows of the weight.
    const device::GgufTensor tensor{
        type_of(stored.codec), 1, narrow(stored.blocks * stored.codec.block_size),
        work.data<const uint8_t>(*parts[0], "the blocks") + stored.begin};
    require_launched(device::dequantize_gguf(tensor, plugins::weight_type(weight.view.dtype),
                                             work.data<void>(weight, "the weight"), work.stream()));
  }

  std::unique_ptr<sdk::Linear> prepare(const GgufQuantizer&, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts&) const override {
    const device::GgufTensor tensor{type_of(stored_matrix(work.param(), parts).codec),
                                    narrow(work.matrix().rows), narrow(work.matrix().columns),
                                    work.data<const uint8_t>(*parts[0], "the blocks")};
    return device_product(options, work, [tensor](const ProductArguments& a) {
      return device::linear_gguf(tensor, a.activation, a.x, a.bias, a.y, a.m, a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::gguf::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(gguf::GgufQuantizer, gguf::PRECIS_DEVICE::Blocks)
