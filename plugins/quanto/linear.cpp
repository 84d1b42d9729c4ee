#include "kernels/cpu/quanto/linear.h"

#include "plugins/byte_product.h"
#include "plugins/quanto/format.h"
#include "plugins/quanto/quantizer.h"

namespace precis::quanto {
namespace {

using sdk::PluginError;

// The scale of each row, or the one of all, as float32 [rows].
std::vector<float> row_scales(const precis_tensor& scale, uint64_t rows) {
  const uint64_t count = sdk::elements(scale.view.ndim, scale.view.shape);
  if (count != 1 && count < rows)
    throw PluginError(PRECIS_DATA_LOSS, "the tensors are smaller than the weight's shape needs");
  std::vector<float> scales(rows);
  kernels::with_type(plugins::weight_type(scale.view.dtype), [&](auto tag) {
    using Type = decltype(tag);
    const auto* stored = sdk::data<const typename Type::Stored>(scale);
    for (uint64_t row = 0; row < rows; ++row)
      scales[row] = Type::load(stored, count == 1 ? 0 : row);
  });
  return scales;
}

// qint8, qfloat8.
kernels::ByteNumber byte_number(const Config& config) {
  switch (byte_type(config.weights)) {
    case kernels::QuantoByteType::int8:
      break;
    case kernels::QuantoByteType::float8_e4m3fn:
      return kernels::ByteNumber::float8_e4m3fn;
    case kernels::QuantoByteType::float8_e5m2:
      return kernels::ByteNumber::float8_e5m2;
  }
  return kernels::ByteNumber::int8;
}

std::unique_ptr<sdk::Linear> prepare_bytes(const Config& config,
                                           const precis_linear_options& options,
                                           const sdk::Matrix& matrix,
                                           const sdk::ConstParts& parts) {
  plugins::require_bytes(*parts[kData], matrix.elements());
  return plugins::byte_product(options, matrix, byte_number(config),
                               sdk::data<const void>(*parts[kData]),
                               row_scales(*parts[kScale], matrix.rows));
}

std::unique_ptr<sdk::Linear> prepare_groups(const Config& config,
                                            const precis_linear_options& options,
                                            const sdk::Matrix& matrix, const sdk::ConstParts& parts,
                                            kernels::LinearWeight weight) {
  const Groups groups(matrix, config.bits());
  if (parts.size() < 3) throw PluginError(PRECIS_DATA_LOSS, "the shifts are missing");
  plugins::require_bytes(*parts[kData], groups.packed_rows * groups.size);
  const auto scale_type = plugins::weight_type(parts[kScale]->view.dtype);
  if (plugins::weight_type(parts[kShift]->view.dtype) != scale_type)
    throw PluginError(PRECIS_DATA_LOSS, "scales and shifts differ in dtype");
  const uint64_t scale_bytes = groups.scale_count() * (parts[kScale]->view.dtype.bits / 8u);
  plugins::require_bytes(*parts[kScale], scale_bytes);
  plugins::require_bytes(*parts[kShift], scale_bytes);
  const kernels::QuantoGroupWeight stored{config.bits(),
                                          scale_type,
                                          plugins::decoded_type(weight.arithmetic),
                                          sdk::data<const uint8_t>(*parts[kData]),
                                          sdk::data<const void>(*parts[kScale]),
                                          sdk::data<const void>(*parts[kShift]),
                                          groups.count,
                                          groups.size,
                                          matrix.columns,
                                          groups.per_column};
  const auto& kernel = kernels::quanto_linear_kernels(kernels::current_isa());
  weight.decode_floats = kernel.decode_groups;
  weight.row_dot = kernel.row_dot(stored);
  return std::make_unique<plugins::Product<kernels::QuantoGroupWeight>>(options, weight, stored);
}

}  // namespace

void QuantoQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                  sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  plan.keeps_parts();
  plan.workspace(
      plugins::product_workspace(options, plugins::float_arithmetic(options), matrix.columns));
}

std::unique_ptr<sdk::Linear> QuantoQuantizer::prepare_linear(const precis_call&,
                                                             const precis_linear_options& options,
                                                             const precis_param& param,
                                                             const sdk::ConstParts& parts,
                                                             const sdk::Parts&) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  if (parts.size() < 2)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the parts are not those of the plan");
  if (config_.bits() == 8) return prepare_bytes(config_, options, matrix, parts);
  kernels::LinearWeight weight{};
  weight.arithmetic = plugins::float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  return prepare_groups(config_, options, matrix, parts, weight);
}

}  // namespace precis::quanto
