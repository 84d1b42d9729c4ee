#include "plugins/grouped_back_end.h"
#include "plugins/rounded_back_end.h"
#include "plugins/rounded_product.h"
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

// Throws PRECIS_UNSUPPORTED for codes that are not multiplied by codes.
void check_rounded(const AoWeight& weight, const kernels::ActivationRounding& rounding) {
  using kernels::ActivationRule;
  const bool rows = rounding.group == 0 && weight.block == weight.columns;
  if (rows && rounding.rule == ActivationRule::float8 && weight.codes == AoCodes::float8_e4m3fn)
    return;
  if (rows && plugins::has_integer_rows(rounding, weight.columns) && weight.columns % 16 == 0 &&
      weight.codes == AoCodes::int8)
    return;
  throw PluginError(PRECIS_UNSUPPORTED,
                    "on a device rounded activations meet codes of int8 or float8 e4m3fn with a "
                    "scale a row, int8 symmetric and in multiples of 16 columns");
}

// The weight with its scales in float32, in the packed tensor.
device::Int8Rows integer_rows(const Work& work, const AoWeight& stored,
                              const sdk::ConstParts& parts, const sdk::Parts& packed) {
  if (packed.size() != 1)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the packed tensors are not those of the plan");
  AoWeight on_host = stored;
  const std::string scales = work.read(*parts[kScale]);
  on_host.scales = scales.data();
  std::string zeros;
  if (stored.zero_points != nullptr) {
    zeros = work.read(*parts[kZero]);
    on_host.zero_points = reinterpret_cast<const int8_t*>(zeros.data());
  }
  if (!is_integer_rows(on_host))
    throw PluginError(PRECIS_UNSUPPORTED,
                      "on a device int8 codes with zero points do not meet rounded activations");
  const std::vector<float> of_rows = row_scales(on_host);
  work.write(*packed[0], of_rows.data(), of_rows.size() * sizeof(float));
  return {narrow(stored.rows), narrow(stored.columns), static_cast<const int8_t*>(stored.qdata),
          work.data<const float>(*packed[0], "the planned scales")};
}

template <typename Weight>
std::unique_ptr<sdk::Linear> rounded_product(const precis_linear_options& options, const Work& work,
                                             const Weight& weight,
                                             const kernels::ActivationRounding& rounding) {
  return device_product(options, work, [weight, rounding](const ProductArguments& a) {
    return launch_rounded(weight, rounding, a);
  });
}

void encode_tiles(const Scheme& scheme, const Work& work, const void* values,
                  const sdk::Parts& parts) {
  const sdk::Matrix& matrix = work.matrix();
  const TileShape shape(static_cast<int64_t>(matrix.rows), static_cast<int64_t>(matrix.columns),
                        static_cast<int64_t>(scheme.tile_rows));
  require_launched(device::quantize_torchao_tiles(
      static_cast<const uint16_t*>(values), matrix.rows, matrix.columns,
      static_cast<uint64_t>(scheme.group_size), static_cast<uint64_t>(shape.rows),
      static_cast<uint64_t>(shape.columns), work.data<uint32_t>(*parts[kCodes], "qdata"),
      work.data<uint16_t>(*parts[kScale], "the scales"), work.stream()));
}

class TorchAo final : public BackEnd<TorchAoQuantizer> {
 protected:
  void encode(const TorchAoQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const Scheme scheme = quantizer.scheme(work.param());
    const AoWeight planned = planned_tensor(scheme, work.param());
    const bool pairs = scheme.tensor == TensorClass::int4;
    const auto* values = work.data<const void>(weight, "the weight");
    if (scheme.tensor == TensorClass::int4_tiles) return encode_tiles(scheme, work, values, parts);
    if (scheme.tensor == TensorClass::float8 && scheme.group_size <= 0)
      return require_launched(device::quantize_torchao_float8(
          planned.codes == AoCodes::float8_e4m3fn ? device::Float8Type::e4m3fn
                                                  : device::Float8Type::e5m2,
          work.type(), values, narrow(planned.rows), narrow(planned.columns), scheme.group_size < 0,
          work.data<uint8_t>(*parts[kCodes], "qdata"),
          work.data<float>(*parts[kScale], "the scales"), work.stream()));
    if ((!pairs && planned.codes != AoCodes::int8) || scheme.group_size < 0)
      return BackEnd::encode(quantizer, work, weight, parts);
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

  void plan_product(const TorchAoQuantizer& quantizer, const precis_linear_options& options,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    const Rounding rounding = quantizer.activations(param);
    const AoWeight weight = planned_tensor(quantizer.scheme(param), param);
    if (rounding && in_own_dtype(rounding->rule)) {
      plan_numbers(options, weight.columns, *rounding, plan);
      plan_groups(weight, plan);
    } else if (rounding) {
      check_rounded(weight, *rounding);
      plan_rounded(options, weight.columns, *rounding, plan);
      if (!is_float8(weight))
        plan.add_numbers("scales", sdk::kFloat32, {static_cast<int64_t>(weight.rows)});
    } else if (!is_float8(weight)) {
      plan_groups(weight, plan);
    }
  }

  std::unique_ptr<sdk::Linear> prepare(const TorchAoQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts& packed) const override {
    const AoWeight stored = stored_tensor(work, parts);
    const Rounding rounding = quantizer.activations(work.param());
    if (rounding && in_own_dtype(rounding->rule)) {
      const auto launch = [rows = prepared_rows(work, stored, packed)](const ProductArguments& a,
                                                                       const void* x) {
        return device::linear_groups(rows, a.activation, x, a.bias, a.y, a.m, a.call.stream);
      };
      return device_product(
          options, work,
          [launch, rounding = *rounding, columns = stored.columns](const ProductArguments& a) {
            return with_numbers(a, columns, rounding, launch);
          });
    }
    if (rounding) {
      check_rounded(stored, *rounding);
      return is_float8(stored)
                 ? rounded_product(options, work, float8_tensor(stored), *rounding)
                 : rounded_product(options, work, integer_rows(work, stored, parts, packed),
                                   *rounding);
    }
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
