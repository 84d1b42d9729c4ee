#include "kernels/device/float8.h"
#include "plugins/grouped_back_end.h"
#include "plugins/torchao/quantizer.h"
#include "plugins/torchao/stored.h"

namespace precis::torchao::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;
using kernels::AoCodes;
using kernels::AoWeight;
using sdk::PluginError;

AoWeight stored_tensor(const Work& work, const sdk::ConstParts& parts) {
  for (std::size_t part = 0; part < parts.size(); ++part)
    work.data<const void>(*parts[part], part == kCodes ? "qdata" : "a scale or zero point");
  const AoWeight weight = stored_weight(work.param(), parts);
  for (const uint64_t side :
       {weight.rows, weight.columns, weight.padded_rows, weight.padded_columns})
    narrow(side);
  return weight;
}

bool is_float8(const AoWeight& weight) {
  return weight.codes == AoCodes::float8_e4m3fn || weight.codes == AoCodes::float8_e5m2;
}

device::Float8Tensor float8_tensor(const AoWeight& weight) {
  using kernels::Fp8ScaleType;
  using kernels::WeightType;
  return {weight.codes == AoCodes::float8_e4m3fn ? device::Float8Type::e4m3fn
                                                 : device::Float8Type::e5m2,
          narrow(weight.rows),
          narrow(weight.columns),
          static_cast<const uint8_t*>(weight.qdata),
          {narrow(weight.block_rows), narrow(weight.block)},
          weight.scale_type == WeightType::f32   ? Fp8ScaleType::f32
          : weight.scale_type == WeightType::f16 ? Fp8ScaleType::f16
                                                 : Fp8ScaleType::bf16,
          weight.scales,
          weight.dtype};
}

// What the config writes, without its parts.
AoWeight planned_tensor(const Scheme& scheme, const precis_param& param) {
  const sdk::Matrix matrix = sdk::matrix(param);
  AoWeight weight{};
  weight.rows = narrow(matrix.rows);
  weight.columns = narrow(matrix.columns);
  weight.block_rows = scheme.group_size < 0 ? matrix.rows : 1;
  weight.block = scheme.group_size > 0 ? static_cast<uint64_t>(scheme.group_size) : matrix.columns;
  switch (scheme.tensor) {
    case TensorClass::int8:
    case TensorClass::intx:
      weight.codes = AoCodes::int8;
      break;
    case TensorClass::int4:
      weight.codes = AoCodes::int4_pairs;
      break;
    case TensorClass::int4_tiles:
      weight.codes = AoCodes::int4_tiles;
      break;
    case TensorClass::float8:
      weight.codes = scheme.float8;
      break;
  }
  return weight;
}

class TorchAo final : public BackEnd<TorchAoQuantizer> {
 protected:
  void encode(const TorchAoQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const Scheme scheme = quantizer.scheme(work.param());
    const AoWeight planned = planned_tensor(scheme, work.param());
    const bool pairs = scheme.tensor == TensorClass::int4;
    if ((!pairs && planned.codes != AoCodes::int8) || scheme.group_size < 0)
      return BackEnd::encode(quantizer, work, weight, parts);
    const auto* values = work.data<const void>(weight, "the weight");
    void* scales = work.data<void>(*parts[kScale], "the scales");
    if (pairs) {
      require_launched(device::quantize_torchao_int4(
          work.type(), values, planned.rows, planned.columns, planned.block,
          work.data<uint8_t>(*parts[kCodes], "qdata"), scales,
          work.data<void>(*parts[kZero], "the zero points"), work.stream()));
      return;
    }
    require_launched(device::quantize_torchao_int8(
        work.type(), values, planned.rows, planned.columns,
        {planned.block, scheme.mapping, scheme.range, smallest_scale(scheme, work.type()),
         scheme.tensor == TensorClass::intx},
        work.data<int8_t>(*parts[kCodes], "qdata"), scales,
        work.data<int8_t>(*parts[kZero], "the zero points"), work.stream()));
  }

  void decode(const TorchAoQuantizer&, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    const AoWeight stored = stored_tensor(work, parts);
    if (!is_float8(stored)) return decode_groups(work, stored, rows, weight);
    if (rows.count() != stored.rows)
      throw PluginError(PRECIS_UNSUPPORTED, "on a device float8 is decoded all at once");
    require_launched(
        device::dequantize_float8(float8_tensor(stored), plugins::weight_type(weight.view.dtype),
                                  work.data<void>(weight, "the weight"), work.stream()));
  }

  void plan_product(const TorchAoQuantizer& quantizer, const precis_linear_options&,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    if (quantizer.activations(param))
      throw PluginError(PRECIS_UNSUPPORTED,
                        "on a device activations are not rounded as this config asks");
    const AoWeight weight = planned_tensor(quantizer.scheme(param), param);
    if (!is_float8(weight)) plan_groups(weight, plan);
  }

  std::unique_ptr<sdk::Linear> prepare(const TorchAoQuantizer&, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts& packed) const override {
    const AoWeight stored = stored_tensor(work, parts);
    if (!is_float8(stored)) return groups_product(work, options, stored, packed);
    const device::Float8Tensor tensor = float8_tensor(stored);
    return device_product(options, work, [tensor](const ProductArguments& a) {
      return device::linear_float8(tensor, a.activation, a.x, a.bias, a.y, a.m, a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::torchao::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(torchao::TorchAoQuantizer, torchao::PRECIS_DEVICE::TorchAo)
