// Compiled once for each back end, with PRECIS_DEVICE defined as its namespace.
#include "plugins/quanto/device.h"

#include "kernels/device/float8.h"
#include "kernels/device/grouped.h"
#include "kernels/device/host_runtime.h"
#include "plugins/device.h"
#include "plugins/quanto/format.h"

namespace precis::quanto::PRECIS_DEVICE {
namespace {

namespace device = kernels::PRECIS_DEVICE;
using kernels::WeightType;
using plugins::device_data;
using plugins::require_bytes;
using plugins::require_launched;
using sdk::PluginError;

uint32_t narrow(uint64_t size) {
  if (size >= uint64_t{1} << 31)
    throw PluginError(PRECIS_UNSUPPORTED, "a side of the weight is 2^31 or more");
  return static_cast<uint32_t>(size);
}

// 1.0 in the tensor's dtype.
void put_one(const precis_call& call, const precis_tensor& tensor) {
  const uint32_t one = sdk::same(tensor.view.dtype, sdk::kFloat32)   ? 0x3f800000u
                       : sdk::same(tensor.view.dtype, sdk::kFloat16) ? 0x3c00u
                                                                     : 0x3f80u;
  void* to = sdk::data<void>(tensor);
  require_launched(device::write_device(to, &one, tensor.view.dtype.bits / 8u, call.stream));
}

// Every group has its own scale and shift; that of a weight of one group is the library's special
// case, which has none here.
Groups groups_of(const sdk::Matrix& matrix, int bits) {
  const Groups groups(matrix, bits);
  if (groups.per_column)
    throw PluginError(PRECIS_UNSUPPORTED, "on a device a weight has more than one group");
  return groups;
}

void quantize(const precis_call& call, const Config& config, const precis_param& param,
              const precis_tensor& weight, const sdk::Parts& parts) {
  const precis_device where = weight.view.device;
  const device::CurrentDevice current(where.index);
  const sdk::Matrix matrix = sdk::matrix(param);
  const WeightType type = plugins::weight_type(param.dtype);
  const auto* values = device_data<const void>(weight, where, "the weight");
  auto* data = device_data<uint8_t>(*parts[kData], where, "_data");
  auto* scales = device_data<void>(*parts[kScale], where, "_scale");
  if (config.bits() == 8) {
    require_launched(device::quantize_quanto_bytes(byte_type(config.weights), type, values,
                                                   narrow(matrix.rows), narrow(matrix.columns),
                                                   data, scales, call.stream));
  } else {
    const Groups groups = groups_of(matrix, config.bits());
    const bool through_tinygemm = config.bits() == 4 && type == WeightType::bf16 &&
                                  groups.size == 128 && param.ndim == 2 && matrix.rows % 16 == 0 &&
                                  matrix.columns % 128 == 0;
    require_launched(device::quantize_quanto_groups(
        config.bits(), type, values, groups.count, narrow(groups.size), through_tinygemm, data,
        scales, device_data<void>(*parts[kShift], where, "_shift"), call.stream));
  }
  put_one(call, *parts[parts.size() - 2]);
  put_one(call, *parts[parts.size() - 1]);
}

struct StoredBytes {
  uint64_t rows, columns;
  const uint8_t* codes;
  WeightType scale_type;
  const void* scales;
  bool one_scale;
};

StoredBytes stored_bytes(const sdk::Matrix& matrix, const sdk::ConstParts& parts,
                         precis_device where) {
  if (parts.size() < 2)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  const precis_tensor& scale = *parts[kScale];
  const uint64_t scales = sdk::elements(scale.view.ndim, scale.view.shape);
  require_bytes(*parts[kData], matrix.elements());
  if (scales != 1) require_bytes(scale, matrix.rows * (scale.view.dtype.bits / 8u));
  return {matrix.rows,
          matrix.columns,
          device_data<const uint8_t>(*parts[kData], where, "_data"),
          plugins::weight_type(scale.view.dtype),
          device_data<const void>(scale, where, "_scale"),
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

device::QuantoGroupsTensor groups_tensor(const sdk::Matrix& matrix, const Config& config,
                                         const sdk::ConstParts& parts, precis_device where) {
  if (parts.size() < 3) throw PluginError(PRECIS_DATA_LOSS, "the shifts are missing");
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
          device_data<const uint8_t>(*parts[kData], where, "_data"),
          plugins::weight_type(dtype),
          device_data<const void>(*parts[kScale], where, "_scale"),
          device_data<const void>(*parts[kShift], where, "_shift")};
}

void dequantize(const precis_call& call, const Config& config, const precis_param& param,
                const sdk::ConstParts& parts, int64_t row_begin, precis_tensor& weight) {
  const precis_device where = weight.view.device;
  const device::CurrentDevice current(where.index);
  const sdk::Matrix matrix = sdk::matrix(param);
  const uint64_t rows = weight.view.ndim == 0 ? 1 : static_cast<uint64_t>(weight.view.shape[0]);
  const WeightType out_type = plugins::weight_type(weight.view.dtype);
  auto* out = device_data<void>(weight, where, "the weight");
  if (config.bits() != 8) {
    if (rows != matrix.rows)
      throw PluginError(PRECIS_UNSUPPORTED, "on a device groups are decoded all at once");
    require_launched(device::dequantize_groups(groups_tensor(matrix, config, parts, where),
                                               out_type, out, call.stream));
    return;
  }
  StoredBytes stored = stored_bytes(matrix, parts, where);
  const auto begin = static_cast<uint64_t>(row_begin);
  if (begin * matrix.columns % 16 != 0)
    throw PluginError(PRECIS_UNSUPPORTED, "on a device the rows begin at a multiple of 16 bytes");
  stored.rows = rows;
  stored.codes += begin * matrix.columns;
  if (!stored.one_scale)
    stored.scales = static_cast<const uint8_t*>(stored.scales) +
                    begin * (stored.scale_type == WeightType::f32 ? 4 : 2);
  if (config.weights == "int8")
    require_launched(device::dequantize_groups(int8_tensor(stored), out_type, out, call.stream));
  else
    require_launched(
        device::dequantize_float8(float8_tensor(stored, config), out_type, out, call.stream));
}

class Float8Product final : public plugins::DeviceProduct {
 public:
  Float8Product(const precis_linear_options& options, const sdk::Matrix& matrix,
                const device::Float8Tensor& weight)
      : DeviceProduct(options, matrix), weight_(weight) {}

 private:
  void launch(const precis_call& call, const Arguments& a) const override {
    const device::CurrentDevice current(options_.device.index);
    require_launched(
        device::linear_float8(weight_, a.activation, a.x, a.bias, a.y, a.m, call.stream));
  }
  device::Float8Tensor weight_;
};

class GroupsProduct final : public plugins::DeviceProduct {
 public:
  GroupsProduct(const precis_linear_options& options, const sdk::Matrix& matrix,
                const device::GroupedRows& weight)
      : DeviceProduct(options, matrix), weight_(weight) {}

 private:
  void launch(const precis_call& call, const Arguments& a) const override {
    const device::CurrentDevice current(options_.device.index);
    require_launched(
        device::linear_groups(weight_, a.activation, a.x, a.bias, a.y, a.m, call.stream));
  }
  device::GroupedRows weight_;
};

device::GroupedRows planned_rows(const device::GroupedTensor& weight) {
  device::GroupedRows rows;
  if (const char* error = device::plan_rows(weight, &rows))
    throw PluginError(PRECIS_UNSUPPORTED, error);
  return rows;
}

// Integers go in rows: scales, and for groups the codes too, as the kernels read them.
void plan_linear(const precis_linear_options& options, const Config& config,
                 const precis_param& param, sdk::PlanWriter& plan) {
  const sdk::Matrix matrix = plugins::device_product_shape(options, param);
  plan.keeps_parts();
  if (config.bits() == 8 && config.weights != "int8") return;
  device::GroupedRows rows;
  if (config.bits() == 8) {
    rows = planned_rows(
        int8_tensor({matrix.rows, matrix.columns, nullptr, WeightType::f32, nullptr, false}));
  } else {
    rows = planned_rows(device::QuantoGroupsTensor{
        config.bits(), narrow(matrix.rows), narrow(matrix.columns),
        narrow(groups_of(matrix, config.bits()).size), nullptr, WeightType::f32, nullptr, nullptr});
  }
  plan.add_numbers("scales", sdk::kFloat32, {static_cast<int64_t>(rows.scale_count())});
  if (!rows.in_place)
    plan.add_numbers("codes", sdk::kInt32, {static_cast<int64_t>(rows.code_words())});
}

std::unique_ptr<sdk::Linear> prepare(const precis_call& call, const precis_linear_options& options,
                                     const Config& config, const precis_param& param,
                                     const sdk::ConstParts& parts, const sdk::Parts& packed) {
  const precis_device where = options.device;
  const device::CurrentDevice current(where.index);
  const sdk::Matrix matrix = plugins::device_product_shape(options, param);
  if (config.bits() == 8 && config.weights != "int8")
    return std::make_unique<Float8Product>(
        options, matrix, float8_tensor(stored_bytes(matrix, parts, where), config));
  device::GroupedTensor weight;
  if (config.bits() == 8)
    weight = int8_tensor(stored_bytes(matrix, parts, where));
  else
    weight = groups_tensor(matrix, config, parts, where);
  device::GroupedRows rows = planned_rows(weight);
  if (packed.size() != (rows.in_place ? 1u : 2u))
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the packed tensors are not those of the plan");
  auto* scales = device_data<float>(*packed[0], where, "the planned scales");
  uint32_t* codes =
      rows.in_place ? nullptr : device_data<uint32_t>(*packed[1], where, "the planned codes");
  require_launched(device::regroup(weight, codes, scales, call.stream));
  if (!rows.in_place) rows.codes = codes;
  rows.scales = scales;
  return std::make_unique<GroupsProduct>(options, matrix, rows);
}

constexpr int32_t device_type() {
#if defined(PRECIS_DEVICE_SIMT)
  return plugins::kExecutorDevice;
#else
  return PRECIS_DEVICE_CUDA;
#endif
}

std::string fault(int32_t index) {
  return device::device_fault(index);
}

}  // namespace

const DeviceMethods& methods() {
  static constexpr DeviceMethods kMethods{device_type(), fault,       quantize,
                                          dequantize,    plan_linear, prepare};
  return kMethods;
}

}  // namespace precis::quanto::PRECIS_DEVICE
