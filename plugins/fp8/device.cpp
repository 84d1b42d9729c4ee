#include "kernels/device/float8.h"

#include "plugins/back_end.h"
#include "plugins/fp8/quantizer.h"

namespace precis::fp8::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;
using kernels::Fp8ScaleType;
using kernels::WeightType;
using Rounding = std::optional<kernels::ActivationRounding>;

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

// Codes and scales of x, in the workspace of a product.
struct RoundedActivations {
  uint64_t scales_at, bytes;
  RoundedActivations(uint64_t m, uint64_t columns, const kernels::ActivationRounding& rounding) {
    const uint64_t tile = rounding.group == 0 ? columns : rounding.group;
    scales_at = (m * columns + 15) / 16 * 16;
    bytes = scales_at + m * ((columns + tile - 1) / tile) * sizeof(float);
  }
};

const char* launch_rounded(const device::Float8Tensor& weight,
                           const kernels::ActivationRounding& rounding, const ProductArguments& a) {
  const RoundedActivations room(a.m, weight.columns, rounding);
  if (a.call.workspace_size < room.bytes)
    throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
  auto* codes = static_cast<uint8_t*>(a.call.workspace);
  auto* scales = reinterpret_cast<float*>(codes + room.scales_at);
  const auto group = static_cast<uint32_t>(rounding.group);
  if (const char* error = device::quantize_float8_activations(
          a.activation, a.x, a.m, weight.columns,
          {group, rounding.largest, rounding.smallest_scale}, codes, scales, a.call.stream))
    return error;
  return device::linear_float8_float8(weight, {codes, scales, group}, a.activation, a.bias, a.y,
                                      a.m, a.call.stream);
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
    const Rounding rounding = quantizer.activations();
    const uint64_t columns = sdk::matrix(param).columns;
    if (rounding && rounding->group != 0 && rounding->group < 64 && rounding->group < columns)
      throw sdk::PluginError(PRECIS_UNSUPPORTED, "on a device a tile has at least 64 columns");
    if (rounding)
      plan.workspace(
          RoundedActivations(static_cast<uint64_t>(options.max_rows), columns, *rounding).bytes);
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
