#include "kernels/device/float8.h"
#include "plugins/grouped_back_end.h"
#include "plugins/quanto/format.h"
#include "plugins/quanto/quantizer.h"

namespace precis::quanto::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using namespace plugins::PRECIS_DEVICE;
using kernels::WeightType;
using plugins::require_bytes;
using sdk::PluginError;

// 1.0 in the tensor's dtype.
void put_one(const Work& work, const precis_tensor& tensor) {
  const uint32_t one = sdk::same(tensor.view.dtype, sdk::kFloat32)   ? 0x3f800000u
                       : sdk::same(tensor.view.dtype, sdk::kFloat16) ? 0x3c00u
                                                                     : 0x3f80u;
  work.write(tensor, &one, tensor.view.dtype.bits / 8u);
}

// Every group has its own scale and shift; that of a weight of one group is the library's special
// case, which has none here.
Groups groups_of(const sdk::Matrix& matrix, int bits) {
  const Groups groups(matrix, bits);
  if (groups.per_column)
    throw PluginError(PRECIS_UNSUPPORTED, "on a device a weight has more than one group");
  return groups;
}

struct StoredBytes {
  uint64_t rows, columns;
  const uint8_t* codes;
  WeightType scale_type;
  const void* scales;
  bool one_scale;
};

StoredBytes stored_bytes(const Work& work, const sdk::ConstParts& parts) {
  if (parts.size() < 2)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  const sdk::Matrix& matrix = work.matrix();
  const precis_tensor& scale = *parts[kScale];
  const uint64_t scales = sdk::elements(scale.view.ndim, scale.view.shape);
  require_bytes(*parts[kData], matrix.elements());
  if (scales != 1) require_bytes(scale, matrix.rows * (scale.view.dtype.bits / 8u));
  return {matrix.rows,
          matrix.columns,
          work.data<const uint8_t>(*parts[kData], "_data"),
          plugins::weight_type(scale.view.dtype),
          work.data<const void>(scale, "_scale"),
          scales == 1};
}

device::Float8Tensor float8_tensor(const StoredBytes& stored, const Config& config) {
  return {config.weights == "float8" ? device::Float8Type::e4m3fn : device::Float8Type::e5m2,
          narrow(stored.rows),
          narrow(stored.columns),
          stored.codes,
          {stored.one_scale ? 0u : 1u, 0},
          stored.scale_type == WeightType::f32   ? kernels::Fp8ScaleType::f32
          : stored.scale_type == WeightType::f16 ? kernels::Fp8ScaleType::f16
                                                 : kernels::Fp8ScaleType::bf16,
          stored.scales,
          stored.scale_type};
}

// Integers with one scale a row are torchao's, too.
device::TorchaoTensor int8_tensor(const StoredBytes& stored) {
  device::TorchaoTensor out{};
  out.codes = kernels::AoCodes::int8;
  out.qdata = stored.codes;
  out.rows = stored.rows;
  out.columns = stored.columns;
  out.block_rows = stored.one_scale ? stored.rows : 1;
  out.block = stored.columns;
  out.scale_type = stored.scale_type;
  out.scales = stored.scales;
  out.dtype = stored.scale_type;
  return out;
}

device::QuantoGroupsTensor groups_tensor(const Work& work, const Config& config,
                                         const sdk::ConstParts& parts) {
  if (parts.size() < 3) throw PluginError(PRECIS_DATA_LOSS, "the shifts are missing");
  const sdk::Matrix& matrix = work.matrix();
  const Groups groups = groups_of(matrix, config.bits());
  const precis_dtype dtype = parts[kScale]->view.dtype;
  require_bytes(*parts[kData], groups.packed_rows * groups.size);
  for (const std::size_t part : {kScale, kShift})
    require_bytes(*parts[part], groups.count * (dtype.bits / 8u));
  if (!sdk::same(parts[kShift]->view.dtype, dtype))
    throw PluginError(PRECIS_DATA_LOSS, "scales and shifts differ in dtype");
  return {config.bits(),
          narrow(matrix.rows),
          narrow(matrix.columns),
          narrow(groups.size),
          work.data<const uint8_t>(*parts[kData], "_data"),
          plugins::weight_type(dtype),
          work.data<const void>(*parts[kScale], "_scale"),
          work.data<const void>(*parts[kShift], "_shift")};
}

bool is_float8(const Config& config) {
  return config.bits() == 8 && config.weights != "int8";
}

class Quanto final : public BackEnd<QuantoQuantizer> {
 protected:
  void encode(const QuantoQuantizer& quantizer, const Work& work, const precis_tensor& weight,
              const sdk::Parts& parts) const override {
    const Config& config = quantizer.settings();
    quantizer.require_planned(parts);
    const sdk::Matrix& matrix = work.matrix();
    const auto* values = work.data<const void>(weight, "the weight");
    auto* data = work.data<uint8_t>(*parts[kData], "_data");
    auto* scales = work.data<void>(*parts[kScale], "_scale");
    if (config.bits() == 8) {
      require_launched(device::quantize_quanto_bytes(byte_type(config.weights), work.type(), values,
                                                     narrow(matrix.rows), narrow(matrix.columns),
                                                     data, scales, work.stream()));
    } else {
      const Groups groups = groups_of(matrix, config.bits());
      require_launched(device::quantize_quanto_groups(
          config.bits(), work.type(), values, groups.count, narrow(groups.size),
          through_tinygemm(config, work.param(), groups), data, scales,
          work.data<void>(*parts[kShift], "_shift"), work.stream()));
    }
    put_one(work, *parts[parts.size() - 2]);
    put_one(work, *parts[parts.size() - 1]);
  }

  void decode(const QuantoQuantizer& quantizer, const Work& work, const sdk::ConstParts& parts,
              sdk::RowRange rows, const precis_tensor& weight) const override {
    const Config& config = quantizer.settings();
    if (config.bits() != 8)
      return decode_groups(work, groups_tensor(work, config, parts), rows, weight);
    const WeightType out_type = plugins::weight_type(weight.view.dtype);
    auto* out = work.data<void>(weight, "the weight");
    StoredBytes stored = stored_bytes(work, parts);
    require_aligned(rows.begin * stored.columns);
    stored.rows = rows.count();
    stored.codes += rows.begin * stored.columns;
    if (!stored.one_scale)
      stored.scales = static_cast<const uint8_t*>(stored.scales) +
                      rows.begin * (stored.scale_type == WeightType::f32 ? 4 : 2);
    if (is_float8(config))
      require_launched(
          device::dequantize_float8(float8_tensor(stored, config), out_type, out, work.stream()));
    else
      require_launched(
          device::dequantize_groups(int8_tensor(stored), out_type, out, work.stream()));
  }

  void plan_product(const QuantoQuantizer& quantizer, const precis_linear_options&,
                    const precis_param& param, sdk::PlanWriter& plan) const override {
    const Config& config = quantizer.settings();
    const sdk::Matrix matrix = sdk::matrix(param);
    if (is_float8(config)) return;
    if (config.bits() == 8)
      return plan_groups(
          int8_tensor({matrix.rows, matrix.columns, nullptr, WeightType::f32, nullptr, false}),
          plan);
    const uint32_t group_size = narrow(groups_of(matrix, config.bits()).size);
    plan_groups(
        device::QuantoGroupsTensor{config.bits(), narrow(matrix.rows), narrow(matrix.columns),
                                   group_size, nullptr, WeightType::f32, nullptr, nullptr},
        plan);
  }

  std::unique_ptr<sdk::Linear> prepare(const QuantoQuantizer& quantizer, const Work& work,
                                       const precis_linear_options& options,
                                       const sdk::ConstParts& parts,
                                       const sdk::Parts& packed) const override {
    const Config& config = quantizer.settings();
    if (config.bits() != 8)
      return groups_product(work, options, groups_tensor(work, config, parts), packed);
    const StoredBytes stored = stored_bytes(work, parts);
    if (!is_float8(config)) return groups_product(work, options, int8_tensor(stored), packed);
    const device::Float8Tensor tensor = float8_tensor(stored, config);
    return device_product(options, work, [tensor](const ProductArguments& a) {
      return device::linear_float8(tensor, a.activation, a.x, a.bias, a.y, a.m, a.call.stream);
    });
  }
};

}  // namespace
}  // namespace precis::quanto::PRECIS_DEVICE

PRECIS_DEVICE_METHOD(quanto::QuantoQuantizer, quanto::PRECIS_DEVICE::Quanto)
