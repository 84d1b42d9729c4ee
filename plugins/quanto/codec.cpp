#include "plugins/quanto/format.h"
#include "plugins/quanto/quantizer.h"
#include "plugins/weight_type.h"

namespace precis::quanto {
namespace {

using sdk::PluginError;

constexpr uint64_t kElementsAtOnce = 64 << 10;

precis_dtype byte_dtype(const std::string& weights) {
  if (weights == "float8") return sdk::kFloat8E4M3FN;
  return weights == "float8_e5m2" ? sdk::kFloat8E5M2 : sdk::kInt8;
}

void fill_ones(const precis_tensor& tensor) {
  // 1.0 in each of the three dtypes.
  if (sdk::same(tensor.view.dtype, sdk::kFloat32))
    *sdk::data<float>(tensor) = 1.0f;
  else
    *sdk::data<uint16_t>(tensor) = sdk::same(tensor.view.dtype, sdk::kFloat16) ? 0x3c00 : 0x3f80;
}

}  // namespace

void QuantoQuantizer::plan(const precis_param& param, sdk::PlanWriter& plan) const {
  plugins::weight_type(param.dtype);
  const sdk::Matrix matrix = sdk::matrix(param);
  if (param.ndim < 2 || matrix.elements() == 0)
    throw PluginError(PRECIS_UNSUPPORTED, "quanto needs a weight of at least two dimensions");
  const auto rows = static_cast<int64_t>(matrix.rows);
  if (config_.bits() == 8) {
    plan.add_numbers("weight._data", byte_dtype(config_.weights),
                     std::vector<int64_t>(param.shape, param.shape + param.ndim));
    std::vector<int64_t> scale_shape;
    if (rows > 1) {
      scale_shape.assign(static_cast<std::size_t>(param.ndim), 1);
      scale_shape[0] = rows;
    }
    plan.add_numbers("weight._scale", param.dtype, scale_shape);
  } else {
    const Groups groups(matrix, config_.bits());
    plan.add_numbers("weight._data._data", sdk::kUInt8,
                     {static_cast<int64_t>(groups.packed_rows), static_cast<int64_t>(groups.size)});
    plan.add_numbers("weight._scale", param.dtype, groups.scale_shape());
    plan.add_numbers("weight._shift", param.dtype, groups.scale_shape());
    plan.workspace(matrix.elements());
  }
  plan.add_numbers("input_scale", param.dtype, {});
  plan.add_numbers("output_scale", param.dtype, {});
}

void QuantoQuantizer::require_planned(const sdk::Parts& parts) const {
  if (parts.size() != (config_.bits() == 8 ? 4u : 5u))
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
}

void QuantoQuantizer::quantize(const precis_call& call, const precis_param& param,
                               const precis_tensor& weight, const sdk::Parts& parts) const {
  require_planned(parts);
  if (config_.bits() == 8)
    quantize_bytes(call, param, weight, parts);
  else
    quantize_groups(call, param, weight, parts);
  fill_ones(*parts[parts.size() - 2]);
  fill_ones(*parts[parts.size() - 1]);
}

void QuantoQuantizer::quantize_bytes(const precis_call& call, const precis_param& param,
                                     const precis_tensor& weight, const sdk::Parts& parts) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const auto& kernel = kernels::quanto_kernels(kernels::current_isa());
  const void* values = sdk::data<const void>(weight);
  auto* codes = sdk::data<uint8_t>(*parts[kData]);
  void* scales = sdk::data<void>(*parts[kScale]);
  sdk::Host::get().parallel_for(
      matrix.rows, 1 + kElementsAtOnce / matrix.columns, [&](uint64_t begin, uint64_t end) {
        sdk::poll(&call, static_cast<double>(begin) / static_cast<double>(matrix.rows));
        kernel.quantize_bytes(byte_type(config_.weights), plugins::weight_type(param.dtype), values,
                              matrix.columns, begin, end, codes, scales);
      });
}

void QuantoQuantizer::quantize_groups(const precis_call& call, const precis_param& param,
                                      const precis_tensor& weight, const sdk::Parts& parts) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const Groups groups(matrix, config_.bits());
  if (call.workspace_size < matrix.elements())
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
  auto* codes = static_cast<uint8_t*>(call.workspace);
  const auto& kernel = kernels::quanto_kernels(kernels::current_isa());
  const void* values = sdk::data<const void>(weight);
  void* scales = sdk::data<void>(*parts[kScale]);
  void* shifts = sdk::data<void>(*parts[kShift]);
  const uint64_t grain = 1 + kElementsAtOnce / groups.size;
  const uint64_t scaled_together = groups.per_column ? 1 : groups.size;
  sdk::Host::get().parallel_for(groups.scale_count(), grain, [&](uint64_t begin, uint64_t end) {
    sdk::poll(&call, static_cast<double>(begin) / static_cast<double>(groups.count));
    kernel.quantize_groups(config_.bits(), plugins::weight_type(param.dtype), values,
                           scaled_together, begin, end, codes, scales, shifts);
  });
  auto* packed = sdk::data<uint8_t>(*parts[kData]);
  sdk::Host::get().parallel_for(groups.packed_rows, grain, [&](uint64_t begin, uint64_t end) {
    kernels::pack_planes(config_.bits(), codes, groups.count, groups.size, begin, end, packed);
  });
  if (through_tinygemm(config_, param, groups)) {
    kernels::tinygemm_shift(static_cast<const uint16_t*>(scales), static_cast<uint16_t*>(shifts),
                            groups.count);
  }
}

void QuantoQuantizer::dequantize(const precis_call&, const precis_param& param,
                                 const sdk::ConstParts& parts, int64_t row_begin,
                                 precis_tensor& weight) const {
  const sdk::Matrix matrix = sdk::matrix(param);
  const auto begin = static_cast<uint64_t>(row_begin);
  const uint64_t end =
      begin + (weight.view.ndim == 0 ? 1 : static_cast<uint64_t>(weight.view.shape[0]));
  const auto& kernel = kernels::quanto_kernels(kernels::current_isa());
  const auto out_type = plugins::weight_type(weight.view.dtype);
  if (end > matrix.rows || parts.size() < 2)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "rows outside of the weight");
  const auto scale_type = plugins::weight_type(parts[kScale]->view.dtype);
  const uint64_t scales = sdk::elements(parts[kScale]->view.ndim, parts[kScale]->view.shape);
  if (config_.bits() == 8) {
    if (parts[kData]->nbytes < matrix.elements() || (scales != 1 && scales < matrix.rows)) {
      throw PluginError(PRECIS_DATA_LOSS, "the tensors are smaller than the weight's shape needs");
    }
    kernel.dequantize_bytes(byte_type(config_.weights), scale_type,
                            sdk::data<const uint8_t>(*parts[kData]),
                            sdk::data<const void>(*parts[kScale]), scales > 1, matrix.columns,
                            begin, end, out_type, sdk::data<void>(weight));
    return;
  }
  const Groups groups(matrix, config_.bits());
  if (parts.size() < 3 || parts[kData]->nbytes < groups.packed_rows * groups.size ||
      scales < groups.scale_count() ||
      parts[kShift]->nbytes < groups.scale_count() * (parts[kScale]->view.dtype.bits / 8u)) {
    throw PluginError(PRECIS_DATA_LOSS, "the tensors are smaller than the weight's shape needs");
  }
  if (groups.per_column) {
    const std::size_t scale_bytes = parts[kScale]->view.dtype.bits / 8u,
                      out_bytes = weight.view.dtype.bits / 8u;
    for (uint64_t i = 0; begin < end && i < groups.size; ++i) {
      kernel.dequantize_groups(config_.bits(), scale_type,
                               sdk::data<const uint8_t>(*parts[kData]) + i, 1,
                               sdk::data<const std::byte>(*parts[kScale]) + i * scale_bytes,
                               sdk::data<const std::byte>(*parts[kShift]) + i * scale_bytes, 1, 0,
                               1, out_type, sdk::data<std::byte>(weight) + i * out_bytes);
    }
    return;
  }
  const uint64_t groups_per_row = matrix.columns / groups.size;
  kernel.dequantize_groups(
      config_.bits(), scale_type, sdk::data<const uint8_t>(*parts[kData]), groups.count,
      sdk::data<const void>(*parts[kScale]), sdk::data<const void>(*parts[kShift]), groups.size,
      begin * groups_per_row, end * groups_per_row, out_type, sdk::data<void>(weight));
}

}  // namespace precis::quanto
