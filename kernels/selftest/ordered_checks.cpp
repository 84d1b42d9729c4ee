// Products of weights whose neighbours in a row have other scales: groups that are scattered over
// the columns, brought into their order, and HQQ's groups of columns. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <algorithm>
#include <tuple>

#include "kernels/device/activations.h"
#include "kernels/device/grouped.h"
#include "kernels/device/scaled.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

std::vector<uint32_t> random_words(Random& random, uint64_t count) {
  std::vector<uint32_t> words(count);
  for (uint32_t& word : words) word = random.bits() << 16 ^ random.bits();
  return words;
}

// A column of each group in turn, in an order that 7 steps make.
std::vector<int32_t> scattered_groups(uint32_t columns, uint32_t group_size) {
  std::vector<int32_t> group_of(columns);
  const uint32_t groups = columns / group_size;
  for (uint32_t i = 0; i < columns; ++i)
    group_of[i] = static_cast<int32_t>((i * 7 + i / groups) % groups);
  return group_of;
}

std::vector<uint32_t> sorted_by_group(const std::vector<int32_t>& group_of) {
  std::vector<uint32_t> order(group_of.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return group_of[a] < group_of[b]; });
  return order;
}

// x and y of a product, and what y must be.
struct Product {
  LinearCase linear;
  std::vector<uint8_t> x, bias;
  Product(WeightType activation, uint32_t m, uint32_t rows, uint32_t columns,
          const std::vector<float>& weight)
      : linear{m, rows, columns, activation, weight, {}, {}} {
    Random random(m + columns);
    if (m > 8) linear.weight = decode(activation, encode(activation, weight));
    x = encode(activation, normal_values(random, uint64_t{m} * columns));
    bias = encode(activation, normal_values(random, rows));
    linear.x = decode(activation, x);
    linear.bias = decode(activation, bias);
  }
  std::string compare(const std::vector<uint8_t>& y) const {
    const double relative_error =
        linear.m <= 8 ? (linear.columns / 32.0 + 16) * 0x1p-24 : linear.columns * 0x1p-23;
    return compare_linear(linear, relative_error, y);
  }
};

std::string check_gptq(GptqFormat format, GptqShape shape, WeightType activation, uint32_t m) {
  Random random(shape.rows + shape.columns + static_cast<uint64_t>(format.bits));
  const auto bits = static_cast<uint64_t>(format.bits);
  const auto rows = static_cast<uint32_t>(shape.rows),
             columns = static_cast<uint32_t>(shape.columns);
  const std::vector<uint32_t> codes = random_words(random, shape.rows * shape.columns * bits / 32),
                              zeros = random_words(random, shape.groups() * shape.rows * bits / 32);
  std::vector<float> scales(shape.groups() * shape.rows);
  for (float& scale : scales) scale = random.uniform(0.01f, 0.05f);
  const std::vector<int32_t> group_of =
      scattered_groups(columns, static_cast<uint32_t>(shape.group_size));
  const std::vector<uint32_t> order = sorted_by_group(group_of);
  std::vector<float> values(shape.rows * shape.columns);
  gptq_kernels(Isa::baseline)
      .dequantize(format, shape, codes.data(), zeros.data(), WeightType::f32, scales.data(),
                  group_of.data(), 0, shape.rows, WeightType::f32, values.data());
  const Product product(activation, m, rows, columns, values);

  const DeviceArray<uint32_t> device_codes(codes), device_zeros(zeros),
      device_order(order, Content::places);
  const DeviceArray<float> device_scales(scales);
  const DeviceArray<uint8_t> x(product.x), bias(product.bias), gathered(product.x.size()),
      y(uint64_t{m} * rows * 2);
  GptqTensor tensor{format,
                    shape,
                    device_codes.data(),
                    device_zeros.data(),
                    WeightType::f32,
                    device_scales.data(),
                    nullptr,
                    true,
                    device_order.data()};
  GroupedRows in_rows;
  if (const char* error = plan_rows(tensor, &in_rows)) return error;
  const DeviceArray<uint32_t> row_codes(in_rows.code_words());
  const DeviceArray<float> row_scales(in_rows.scale_count());
  if (const char* error = repack(tensor, row_codes.data(), row_scales.data(), nullptr))
    return error;
  in_rows.codes = row_codes.data();
  in_rows.scales = row_scales.data();
  if (const char* error =
          gather_columns(x.data(), m, columns, device_order.data(), gathered.data(), nullptr))
    return error;
  if (const char* error =
          linear_groups(in_rows, activation, gathered.data(), bias.data(), y.data(), m, nullptr))
    return error;
  return product.compare(y.values());
}

struct ScaledForm {
  std::string name;
  uint32_t rows, columns, tile_columns;
  NarrowType type;
  int bits;
  ZeroType zero_type;
};

std::string check_scaled(const ScaledForm& form, WeightType activation, uint32_t m) {
  Random random(form.rows + form.columns + static_cast<uint64_t>(form.bits));
  const uint32_t tiles = form.columns / form.tile_columns;
  ScaledWeight weight{};
  weight.rows = {form.type, form.bits, false, form.columns};
  weight.tiles = {1, form.tile_columns, tiles};
  weight.scale_type = ScaleType::f32;
  weight.zero_type = form.zero_type;
  const std::vector<uint32_t> codes = random_words(random, form.rows * weight.rows.row_bytes() / 4);
  const std::vector<uint32_t> zeros = random_words(
      random, (form.rows * static_cast<uint32_t>(form.bits) + 31) / 32 * uint64_t{tiles});
  std::vector<float> scales(uint64_t{form.rows} * tiles);
  for (float& scale : scales) scale = random.uniform(0.01f, 0.05f);
  const std::vector<int32_t> tile_of = scattered_groups(form.columns, form.tile_columns);
  const std::vector<uint32_t> order = sorted_by_group(tile_of);
  weight.codes = codes.data();
  weight.scales = scales.data();
  weight.zeros = zeros.data();
  weight.tile_of = tile_of.data();
  std::vector<float> values(uint64_t{form.rows} * form.columns);
  scaled_kernels(Isa::baseline).dequantize(weight, 0, form.rows, WeightType::f32, values.data());
  const Product product(activation, m, form.rows, form.columns, values);

  const bool has_zeros = form.zero_type != ZeroType::none;
  const DeviceArray<uint32_t> device_codes(codes), device_order(order, Content::places),
      device_zeros(has_zeros ? zeros : std::vector<uint32_t>{}), ordered(codes.size());
  const DeviceArray<float> device_scales(scales);
  const DeviceArray<uint8_t> x(product.x), bias(product.bias), gathered(product.x.size()),
      y(uint64_t{m} * form.rows * 2);
  weight.codes = device_codes.data();
  weight.scales = device_scales.data();
  weight.zeros = device_zeros.data();
  weight.tile_of = nullptr;
  if (const char* error =
          order_scaled({form.rows, weight}, device_order.data(), ordered.data(), nullptr))
    return error;
  weight.codes = ordered.data();
  if (const char* error =
          gather_columns(x.data(), m, form.columns, device_order.data(), gathered.data(), nullptr))
    return error;
  if (const char* error = linear_scaled({form.rows, weight}, activation, gathered.data(),
                                        bias.data(), y.data(), m, nullptr))
    return error;
  return product.compare(y.values());
}

// Scales are powers of two, so that no weight is rounded and the bounds are those of the sums.
std::string check_hqq(int bits, WeightType compute, uint32_t group, WeightType activation,
                      uint32_t m) {
  constexpr uint32_t kRows = 120, kColumns = 104;
  Random random(group + static_cast<uint64_t>(bits));
  const HqqGrid grid{bits, 0, group, uint64_t{kRows} * kColumns / group};
  const std::vector<uint32_t> codes = random_words(random, (grid.packed_bytes() + 3) / 4);
  std::vector<float> scales(grid.columns), zeros(grid.columns);
  for (uint64_t i = 0; i < grid.columns; ++i) {
    scales[i] = i % 3 == 0 ? 0x1p-5f : i % 3 == 1 ? 0x1p-6f : 0x1p-4f;
    zeros[i] = static_cast<float>(1 << bits) * random.uniform(0.3f, 0.7f);
  }
  std::vector<float> values(uint64_t{kRows} * kColumns);
  hqq_kernels(Isa::baseline)
      .dequantize({grid, codes.data(), compute, WeightType::f32, scales.data(), zeros.data()}, 0,
                  values.size(), WeightType::f32, values.data());
  const Product product(activation, m, kRows, kColumns, values);

  const DeviceArray<uint32_t> device_codes(codes);
  const DeviceArray<float> device_scales(scales), device_zeros(zeros);
  const DeviceArray<uint8_t> x(product.x), bias(product.bias), y(uint64_t{m} * kRows * 2);
  const HqqTensor tensor{{grid, device_codes.data(), compute, WeightType::f32, device_scales.data(),
                          device_zeros.data()},
                         kRows,
                         kColumns};
  GroupedRows in_rows;
  if (const char* error = plan_rows(tensor, &in_rows)) return error;
  const DeviceArray<uint32_t> row_codes(in_rows.code_words());
  const DeviceArray<float> pairs(in_rows.scale_count());
  if (const char* error = repack(tensor, row_codes.data(), pairs.data(), nullptr)) return error;
  in_rows.codes = row_codes.data();
  in_rows.scales = pairs.data();
  if (const char* error =
          linear_groups(in_rows, activation, x.data(), bias.data(), y.data(), m, nullptr))
    return error;
  return product.compare(y.values());
}

}  // namespace

std::vector<Check> ordered_checks(CheckSize size) {
  std::vector<Check> checks;
  const auto add = [&](const std::string& name, auto run) {
    for (const WeightType activation : {WeightType::f16, WeightType::bf16})
      for (const uint32_t m : {1u, 4u, 7u, 17u, 150u})
        checks.push_back(
            {name + " linear " + kernels::name_of(activation) + " " + std::to_string(m) + " rows",
             [=] { return run(activation, m); }, m >= 128});
  };
  std::vector<GptqShape> shapes = {{64, 160, 32}};
  if (size == CheckSize::large) shapes.push_back({4096, 4096, 128});
  for (const GptqShape& shape : shapes)
    for (const GptqFormat format : {GptqFormat{3, false, true}, GptqFormat{4, false, true},
                                    GptqFormat{5, true, false}, GptqFormat{8, true, false}})
      add("gptq " + std::to_string(format.bits) + " with desc_act of " +
              std::to_string(shape.columns) + " columns",
          [=](WeightType activation, uint32_t m) {
            return check_gptq(format, shape, activation, m);
          });
  std::vector<ScaledForm> forms = {
      {"int4", 40, 160, 32, NarrowType::packed_int, 4, ZeroType::packed},
      {"int8", 33, 192, 48, NarrowType::packed_int, 8, ZeroType::packed},
      {"int8 in bytes", 12, 128, 64, NarrowType::int8, 8, ZeroType::none}};
  if (size == CheckSize::large)
    forms.push_back({"large int4", 4096, 4096, 128, NarrowType::packed_int, 4, ZeroType::packed});
  for (const ScaledForm& form : forms)
    add("scattered " + form.name,
        [=](WeightType activation, uint32_t m) { return check_scaled(form, activation, m); });
  for (const auto& [bits, compute, group] : {std::tuple{4, WeightType::f16, 60u},
                                             {8, WeightType::bf16, 40u},
                                             {3, WeightType::f16, 120u}})
    add("hqq " + std::to_string(bits) + " with axis 0",
        [bits = bits, compute = compute, group = group](WeightType activation, uint32_t m) {
          return check_hqq(bits, compute, group, activation, m);
        });
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
