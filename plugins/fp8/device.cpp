#include "plugins/fp8/quantizer.h"
#include "plugins/rounded_back_end.h"

namespace precis::fp8::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;
using kernels::Fp8ScaleType;
using kernels::WeightType;

device::Float8Tensor stored_tensor(const Work& work, const kernels::Fp8Tiles& tiles,
                                   const sdk::ConstParts& parts) {
  return {device::Float8Type::e4m3fn,
          narrow(work.matrix().rows),
          narrow(work.matrix().columns),
          work.data<const uint8_t>(*parts[kCodes], "the codes"),
          {narrow(tiles.tile_rows), narrow(tiles.tile_columns)},
          scale_type(parts[kScales]->view.dtype),
          work.data<const void>(*parts[kScales], "the scales"),
          WeightType::f32};
}

// What transformers' and FBGEMM's weights have in common.
template <typename Quantizer>
class Float8 : public BackEnd<Quantizer> {
 protected:
  void decode(const Quantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    if (rows.count() != work.matrix().rows)
      throw sdk::PluginError(PRECIS_UNSUPPORTED, "on a device float8 is decoded all at once");
    require_launched(
        device::dequantize_float8(stored_tensor(work, quantizer.tiles(work.param()), parts),
                                  plugins::weight_type(weight.view.dtype),
                                  work.data<void>(weight, "the weight"), work.stream()));
  }

  void plan_product(const Quantizer& quantizer, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    if (const Rounding rounding = quantizer.activations())
      plan_rounded(options, sdk::matrix(param).columns, *rounding, plan);
  }

  std::unique_ptr<sdk::Linear> prepare(const Quantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts&) const override {
    quantizer.check_parts(work.param(), parts);
    const device::Float8Tensor stored = stored_tensor(work, quantizer.tiles(work.param()), parts);
    const Rounding rounding = quantizer.activations();
    return device_product(options, work, [stored, rounding](const ProductArguments& a) {
      if (rounding) return launch_rounded(stored, *rounding, a);
      return device::linear_float8(stored, a.activation, a.x, a.bias, a.y, a.m, a.call.stream);
    });
  }
};

class Tiles final : public Float8<TileQuantizer> {
 protected:
  void encode(const TileQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const TileConfig& config = quantizer.settings();
    static_assert(kWholeWorkspace >= device::kFloat8WorkspaceWords * sizeof(uint32_t));
    uint32_t* partials =
        config.tile_rows == 0 ? work.workspace<uint32_t>(device::kFloat8WorkspaceWords) : nullptr;
    require_launched(device::quantize_float8_tiles(
        work.type(), work.data<const void>(weight, "the weight"), narrow(work.matrix().rows),
        narrow(work.matrix().columns), {narrow(config.tile_rows), narrow(config.tile_columns)},
        config.exponent_scales ? Fp8ScaleType::e8m0 : Fp8ScaleType::f32,
        work.data<uint8_t>(*parts[kCodes], "the codes"),
        work.data<void>(*parts[kScales], "the scales"), partials, work.stream()));
  }
};

class Rows final : public Float8<RowQuantizer> {
 protected:
  void encode(const RowQuantizer&, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    require_launched(device::quantize_float8_rows(
        work.type(), work.data<const void>(weight, "the weight"), narrow(work.matrix().rows),
        narrow(work.matrix().columns), work.data<uint8_t>(*parts[kCodes], "the codes"),
        work.data<float>(*parts[kScales], "the scales"), work.stream()));
  }
};

}  // namespace
}  // namespace precis::fp8::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(fp8::TileQuantizer, fp8::PRECIS_DEVICE::Tiles)
PRECIS_DEVICE_METHOD(fp8::RowQuantizer, fp8::PRECIS_DEVICE::Rows)
