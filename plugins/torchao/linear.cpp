#include "kernels/cpu/torchao/linear.h"

#include "plugins/byte_product.h"
#include "plugins/float8_product.h"
#include "plugins/linear.h"
#include "plugins/torchao/quantizer.h"
#include "plugins/torchao/stored.h"

namespace precis::torchao {
namespace {

// Pairs: numbers stored as [columns / block][rows], row by row.
std::vector<std::byte> by_row(const kernels::AoWeight& weight, const void* stored) {
  const uint64_t blocks = weight.columns / weight.block;
  const uint64_t bytes = weight.scale_type == kernels::WeightType::f32 ? 4 : 2;
  std::vector<std::byte> numbers(weight.rows * blocks * bytes);
  const auto* from = static_cast<const std::byte*>(stored);
  for (uint64_t row = 0; row < weight.rows; ++row) {
    for (uint64_t block = 0; block < blocks; ++block)
      std::copy_n(from + (block * weight.rows + row) * bytes, bytes,
                  numbers.data() + (row * blocks + block) * bytes);
  }
  return numbers;
}

// The product with numbers of x that are rounded already, if at all.
std::unique_ptr<sdk::Linear> float_product(const precis_linear_options& options,
                                           const sdk::Matrix& matrix,
                                           const kernels::AoWeight& stored) {
  if (is_integer_rows(stored))
    return plugins::byte_product(options, matrix, kernels::ByteNumber::int8, stored.qdata,
                                 row_scales(stored));
  if (is_float8_rows(stored))
    return plugins::byte_product(options, matrix, kernels::ByteNumber::float8_e4m3fn, stored.qdata,
                                 row_scales(stored));
  kernels::LinearWeight weight{};
  weight.arithmetic = plugins::float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = kernels::ao_decoders(kernels::current_isa()).decode_floats;
  weight.row_dot = kernels::ao_linear_kernels(kernels::current_isa()).row_dot(stored);
  kernels::AoProductWeight format{stored, plugins::decoded_type(weight.arithmetic), {}, {}};
  if (weight.row_dot.multiply != nullptr) {
    format.row_scales = by_row(stored, stored.scales);
    format.row_zeros = by_row(stored, stored.zeros);
  }
  return std::make_unique<plugins::Product<kernels::AoProductWeight>>(options, weight,
                                                                      std::move(format));
}

}  // namespace

std::optional<kernels::ActivationRounding> TorchAoQuantizer::activations(
    const precis_param& param) const {
  Scheme scheme;
  try {
    scheme = this->scheme(param);
  } catch (const sdk::PluginError& error) {
    // What is only read: its activations are taken as they are.
    if (error.status() != PRECIS_UNSUPPORTED) throw;
  }
  if (scheme.activations && scheme.whole_activations)
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "activations with one scale for all rows depend on the whole batch");
  return scheme.activations;
}

void TorchAoQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                   sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  const auto rounding = activations(param);
  const precis_linear_options inner =
      rounding ? plugins::rounded_options(options, *rounding) : options;
  plan.keeps_parts();
  uint64_t bytes =
      plugins::product_workspace(inner, plugins::float_arithmetic(inner), matrix.columns) +
      (rounding ? plugins::rounded_workspace(options, *rounding, matrix) : 0);
  if (rounding && plugins::has_integer_rows(*rounding, matrix.columns))
    bytes = std::max(
        bytes, plugins::product_workspace(options, kernels::Arithmetic::int8_rows, matrix.columns));
  if (rounding && plugins::has_float8_product(*rounding, matrix, matrix.columns))
    bytes = std::max(bytes, plugins::product_workspace(
                                options, kernels::Arithmetic::bfloat16_groups, matrix.columns));
  plan.workspace(bytes);
}

std::unique_ptr<sdk::Linear> TorchAoQuantizer::prepare_linear(const precis_call&,
                                                              const precis_linear_options& options,
                                                              const precis_param& param,
                                                              const sdk::ConstParts& parts,
                                                              const sdk::Parts&) const {
  const sdk::Matrix matrix = plugins::product_shape(options, param);
  const auto rounding = activations(param);
  const precis_linear_options inner =
      rounding ? plugins::rounded_options(options, *rounding) : options;
  kernels::AoWeight stored = stored_weight(param, parts);
  if (rounding && plugins::has_integer_rows(*rounding, matrix.columns) && is_integer_rows(stored))
    return plugins::integer_product(options, *rounding, matrix,
                                    static_cast<const int8_t*>(stored.qdata), row_scales(stored));
  if (rounding && plugins::has_float8_product(*rounding, matrix, matrix.columns) &&
      is_float8_rows(stored)) {
    const kernels::Fp8Product product{static_cast<const uint8_t*>(stored.qdata),
                                      {stored.columns, 1, stored.columns},
                                      kernels::Fp8ScaleType::f32,
                                      nullptr,
                                      kernels::WeightType::f32};
    return plugins::float8_product(options, *rounding, matrix, product, row_scales(stored));
  }
  // The library multiplies codes with codes: no weight is rounded to the model's dtype.
  if (rounding && sdk::same(inner.activation, sdk::kFloat32) &&
      !sdk::same(options.activation, sdk::kFloat32))
    stored.dtype = kernels::WeightType::f32;
  auto product = float_product(inner, matrix, stored);
  if (!rounding) return product;
  return std::make_unique<plugins::RoundedProduct>(options, *rounding, matrix, std::move(product));
}

}  // namespace precis::torchao
