#include "plugins/scaled_quantizer.h"

#include <cmath>
#include <cstring>
#include <mutex>

#include "kernels/cpu/scaled/linear.h"
#include "plugins/byte_product.h"

namespace precis::plugins {

bool widens_scales(const ScaledEncodingPlan& plan, const precis_param& param,
                   const sdk::Parts& parts) {
  const auto rule = plan.encoding.scale_rule;
  const precis_dtype stored = parts.at(static_cast<std::size_t>(plan.scales))->view.dtype;
  return (rule == kernels::ScaleRule::own || rule == kernels::ScaleRule::own_reciprocal) &&
         !sdk::same(stored, param.dtype);
}

namespace {

// The range of a whole weight, found on the host's threads.
kernels::ValueRange whole_range(const precis_call& call, const sdk::Matrix& matrix,
                                kernels::WeightType type, const void* weight) {
  kernels::ValueRange whole;
  std::mutex mutex;
  sdk::for_rows(call, matrix, 1, [&](sdk::RowRange rows) {
    const kernels::ValueRange found =
        scaled_kernel().range(type, weight, rows.begin * matrix.columns, rows.end * matrix.columns);
    const std::lock_guard lock(mutex);
    if (std::isnan(whole.low)) return;
    whole = std::isnan(found.low) ? found
                                  : kernels::ValueRange{std::min(whole.low, found.low),
                                                        std::max(whole.high, found.high)};
  });
  return whole;
}

// What the scales of tiles are relative to.
float scale_of_whole(const ScaledEncodingPlan& plan, kernels::WeightType type,
                     kernels::ValueRange whole) {
  if (plan.encoding.scale_rule != kernels::ScaleRule::two_levels_product)
    return scaled_kernel().global_scale(type, whole);
  const float absmax = std::isnan(whole.low) ? whole.low : std::max(whole.high, -whole.low);
  return absmax == 0 ? 1.0f : absmax / plan.whole_divisor;
}

// Rows that have to be encoded together.
uint64_t rows_together(const kernels::ScaledEncoding& encoding) {
  if (encoding.zero_type == kernels::ZeroType::packed) return 32;
  return encoding.rows.type == kernels::NarrowType::int4_row_pairs ? 2 : encoding.tiles.rows;
}

// Without zero points, and one scale for a whole row or more.
bool is_rows_of(kernels::NarrowType type, const kernels::ScaledWeight& weight) {
  return weight.rows.type == type && weight.tiles.per_row == 1 &&
         weight.zero_type == kernels::ZeroType::none && weight.tile_of == nullptr;
}
}  // namespace

bool is_integer_rows(const kernels::ScaledWeight& weight) {
  return is_rows_of(kernels::NarrowType::int8, weight);
}

std::vector<float> row_scales(const kernels::ScaledWeight& weight, uint64_t rows) {
  const uint64_t tiles = (rows + weight.tiles.rows - 1) / weight.tiles.rows;
  std::vector<float> of_tiles(tiles), scales(rows);
  scaled_kernel().read_tiles(weight, tiles, of_tiles.data(), nullptr);
  for (uint64_t row = 0; row < rows; ++row) scales[row] = of_tiles[row / weight.tiles.rows];
  return scales;
}

namespace {

// The product with numbers of x that are rounded already, if at all.
std::unique_ptr<sdk::Linear> float_product(const precis_linear_options& options,
                                           const sdk::Matrix& matrix,
                                           const kernels::ScaledWeight& numbers) {
  if (is_integer_rows(numbers))
    return byte_product(options, matrix, kernels::ByteNumber::int8, numbers.codes,
                        row_scales(numbers, matrix.rows));
  if (is_rows_of(kernels::NarrowType::packed_int, numbers) && numbers.rows.bits == 8 &&
      numbers.rows.row_bytes() == matrix.columns)
    return byte_product(options, matrix, kernels::ByteNumber::offset_int8, numbers.codes,
                        row_scales(numbers, matrix.rows));
  if (is_rows_of(kernels::NarrowType::float8_e4m3fn, numbers))
    return byte_product(options, matrix, kernels::ByteNumber::float8_e4m3fn, numbers.codes,
                        row_scales(numbers, matrix.rows));
  kernels::LinearWeight weight{};
  weight.arithmetic = float_arithmetic(options);
  weight.out_features = matrix.rows;
  weight.in_features = matrix.columns;
  weight.decode_floats = scaled_kernel().decode_floats;
  weight.row_dot = kernels::scaled_linear_kernels(kernels::current_isa()).row_dot(numbers);
  return std::make_unique<Product<kernels::ScaledProduct>>(
      options, weight, kernels::ScaledProduct{numbers, decoded_type(weight.arithmetic)});
}

}  // namespace

void ScaledQuantizer::plan_linear(const precis_linear_options& options, const precis_param& param,
                                  sdk::PlanWriter& plan) const {
  const sdk::Matrix matrix = product_shape(options, param);
  const auto rounding = activations(param);
  const precis_linear_options inner = rounding ? rounded_options(options, *rounding) : options;
  plan.keeps_parts();
  uint64_t bytes = product_workspace(inner, float_arithmetic(inner), matrix.columns) +
                   (rounding ? rounded_workspace(options, *rounding, matrix) : 0);
  if (rounding && has_integer_rows(*rounding, matrix.columns))
    bytes =
        std::max(bytes, product_workspace(options, kernels::Arithmetic::int8_rows, matrix.columns));
  plan.workspace(bytes);
}

std::unique_ptr<sdk::Linear> ScaledQuantizer::prepare_linear(const precis_call&,
                                                             const precis_linear_options& options,
                                                             const precis_param& param,
                                                             const sdk::ConstParts& parts,
                                                             const sdk::Parts&) const {
  const sdk::Matrix matrix = product_shape(options, param);
  check_parts(param, parts);
  const auto rounding = activations(param);
  const precis_linear_options inner = rounding ? rounded_options(options, *rounding) : options;
  const kernels::ScaledWeight numbers = stored(param, parts);
  if (rounding && has_integer_rows(*rounding, matrix.columns) && is_integer_rows(numbers))
    return integer_product(options, *rounding, matrix, static_cast<const int8_t*>(numbers.codes),
                           row_scales(numbers, matrix.rows));
  auto product = float_product(inner, matrix, numbers);
  if (!rounding) return product;
  return std::make_unique<RoundedProduct>(options, *rounding, matrix, std::move(product));
}

void ScaledQuantizer::encode(const precis_call& call, const precis_param& param,
                             const precis_tensor& weight, const sdk::Parts& parts) const {
  encode_numbers(call, param, weight, parts, encoding(param, parts).value());
}

void ScaledQuantizer::encode_numbers(const precis_call& call, const precis_param& param,
                                     const precis_tensor& weight, const sdk::Parts& parts,
                                     const ScaledEncodingPlan& plan) {
  const sdk::Matrix matrix = sdk::matrix(param);
  const auto type = weight_type(param.dtype);
  const void* values = sdk::data<const void>(weight);
  const auto part = [&](int i) -> const precis_tensor& {
    return *parts.at(static_cast<std::size_t>(i));
  };
  const auto data = [&](int i) { return i < 0 ? nullptr : sdk::data<void>(part(i)); };
  for (const auto& [i, bytes] : plan.constants) std::memcpy(data(i), bytes.data(), bytes.size());
  kernels::ValueRange whole;
  float global = 1;
  if (plan.one_tile || plan.whole_scale >= 0) whole = whole_range(call, matrix, type, values);
  if (plan.whole_scale >= 0) {
    global = scale_of_whole(plan, type, whole);
    *sdk::data<float>(part(plan.whole_scale)) = global;
  }
  const auto run = [&](sdk::RowRange rows, void* scales) {
    scaled_kernel().quantize(type, values, plan.encoding, plan.one_tile ? &whole : nullptr, global,
                             rows.begin, rows.end, data(plan.codes), scales, data(plan.zeros));
  };
  if (!plan.one_tile)
    return sdk::for_rows(call, matrix, rows_together(plan.encoding),
                         [&](sdk::RowRange rows) { run(rows, data(plan.scales)); });
  if (!widens_scales(plan, param, parts)) return run({0, matrix.rows}, data(plan.scales));
  kernels::with_type(type, [&](auto tag) {
    using Type = decltype(tag);
    typename Type::Stored scale;
    run({0, matrix.rows}, &scale);
    *sdk::data<float>(part(plan.scales)) = Type::load(&scale, 0);
  });
}

void ScaledQuantizer::decode(const precis_call&, const precis_param& param,
                             const sdk::ConstParts& parts, sdk::RowRange rows,
                             const precis_tensor& out) const {
  scaled_kernel().dequantize(stored(param, parts), rows.begin, rows.end,
                             weight_type(out.view.dtype), sdk::data<void>(out));
}

}  // namespace precis::plugins
