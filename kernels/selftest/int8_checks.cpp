// LLM.int8(). Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <limits>

#include "kernels/cpu/bitsandbytes/int8.h"
#include "kernels/cpu/linear/product.h"
#include "kernels/device/bitsandbytes.h"
#include "kernels/device/int8.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

constexpr WeightType kTypes[] = {WeightType::f32, WeightType::f16, WeightType::bf16};

struct Encoded {
  std::vector<int8_t> codes;
  std::vector<float> scb;
};

Encoded encode_on_cpu(WeightType type, const std::vector<uint8_t>& matrix, uint32_t rows,
                      uint32_t columns) {
  Encoded out{std::vector<int8_t>(uint64_t{rows} * columns), std::vector<float>(rows)};
  int8_row_kernels(Isa::baseline)
      .quantize(type, matrix.data(), columns, 0, rows, out.codes.data(), out.scb.data());
  return out;
}

std::string check_quantize(WeightType type, uint32_t rows, uint32_t columns) {
  Random random(rows * 31 + columns);
  std::vector<float> values = normal_values(random, uint64_t{rows} * columns);
  for (uint32_t i = 0; i < columns && rows > 3; ++i) {
    values[uint64_t{1} * columns + i] = 0;
    if (i == 4) values[uint64_t{2} * columns + i] = std::numeric_limits<float>::infinity();
    if (i == 5) values[uint64_t{3} * columns + i] = std::numeric_limits<float>::quiet_NaN();
  }
  const std::vector<uint8_t> matrix = encode(type, values);
  const Encoded expected = encode_on_cpu(type, matrix, rows, columns);
  const DeviceArray<uint8_t> device_matrix(matrix);
  const DeviceArray<int8_t> codes(expected.codes.size());
  const DeviceArray<float> absmax(rows);
  if (const char* error = quantize_int8_rows(type, device_matrix.data(), rows, columns,
                                             codes.data(), absmax.data(), nullptr))
    return error;
  const std::string difference =
      compare_bits(WeightType::f32, encode(WeightType::f32, expected.scb),
                   encode(WeightType::f32, absmax.values()));
  if (!difference.empty()) return "scb " + difference;
  return compare_equal("codes", expected.codes, codes.values());
}

Encoded random_weight(Random& random, uint32_t rows, uint32_t columns) {
  return encode_on_cpu(WeightType::f32,
                       encode(WeightType::f32, normal_values(random, uint64_t{rows} * columns)),
                       rows, columns);
}

std::string check_dequantize(WeightType out_type, uint32_t rows, uint32_t columns) {
  Random random(rows + columns);
  const Encoded encoded = random_weight(random, rows, columns);
  std::vector<uint8_t> expected(uint64_t{rows} * columns * bytes_of(out_type));
  int8_row_kernels(Isa::baseline)
      .dequantize(encoded.codes.data(), encoded.scb.data(), columns, 0, rows, out_type,
                  expected.data());
  const DeviceArray<int8_t> codes(encoded.codes);
  const DeviceArray<float> scb(encoded.scb);
  const DeviceArray<uint8_t> out(expected.size());
  if (const char* error = dequantize_int8_rows({rows, columns, codes.data(), scb.data()}, out_type,
                                               out.data(), nullptr))
    return error;
  return compare_bits(out_type, expected, out.values());
}

std::string check_linear(WeightType activation, uint32_t m, uint32_t rows, uint32_t columns) {
  Random random(m + rows + columns);
  const Encoded encoded = random_weight(random, rows, columns);
  LinearCase linear{m, rows, columns, activation, {}, {}, {}};
  const std::vector<uint8_t> x = encode(activation, normal_values(random, uint64_t{m} * columns));
  linear.x = decode(activation, x);
  const WeightType weight_type = m <= 8 ? WeightType::f32 : activation;
  std::vector<uint8_t> decoded(uint64_t{rows} * columns * bytes_of(weight_type));
  int8_row_kernels(Isa::baseline)
      .dequantize(encoded.codes.data(), encoded.scb.data(), columns, 0, rows, weight_type,
                  decoded.data());
  linear.weight = decode(weight_type, decoded);
  const DeviceArray<int8_t> codes(encoded.codes);
  const DeviceArray<float> scb(encoded.scb);
  const DeviceArray<uint8_t> device_x(x), y(uint64_t{m} * rows * 2);
  if (const char* error = linear_int8({rows, columns, codes.data(), scb.data()}, activation,
                                      device_x.data(), nullptr, y.data(), m, nullptr))
    return error;
  const double relative_error = m <= 8 ? (columns / 32.0 + 16) * 0x1p-24 : columns * 0x1p-23;
  return compare_linear(linear, relative_error, y.values());
}

// Integer sums are exact and every later step is one float32 operation: the bits are given.
std::string check_int8_int8(WeightType activation, uint32_t m, uint32_t rows, uint32_t columns) {
  Random random(m * 3 + rows + columns);
  const Encoded weight = random_weight(random, rows, columns),
                x = random_weight(random, m, columns);
  const std::vector<uint8_t> bias = encode(activation, normal_values(random, rows));
  const std::vector<float> bias_values = decode(activation, bias);
  std::vector<float> expected(uint64_t{m} * rows);
  for (uint32_t i = 0; i < m; ++i) {
    for (uint32_t row = 0; row < rows; ++row) {
      int sum = 0;
      for (uint32_t k = 0; k < columns; ++k)
        sum += x.codes[uint64_t{i} * columns + k] * weight.codes[uint64_t{row} * columns + k];
      const float scaled = (static_cast<float>(sum) * (x.scb[i] * weight.scb[row])) * 6.200124e-05f;
      expected[uint64_t{i} * rows + row] = scaled + bias_values[row];
    }
  }
  const DeviceArray<int8_t> codes(weight.codes), x_codes(x.codes);
  const DeviceArray<float> scb(weight.scb), x_absmax(x.scb);
  const DeviceArray<uint8_t> device_bias(bias), y(expected.size() * 2);
  if (const char* error =
          linear_int8_int8({rows, columns, codes.data(), scb.data()}, x_codes.data(),
                           x_absmax.data(), activation, device_bias.data(), y.data(), m, nullptr))
    return error;
  return compare_bits(activation, encode(activation, expected), y.values());
}

std::vector<uint8_t> product_on_cpu(const LinearWeight& weight, WeightType activation,
                                    const std::vector<uint8_t>& x, const std::vector<uint8_t>& bias,
                                    uint32_t m) {
  std::vector<uint8_t> y(m * weight.out_features * 2);
  std::vector<std::byte> scratch(
      linear_workspace(Isa::baseline, weight.arithmetic, weight.in_features, m, 1) + 64);
  const auto misplaced = reinterpret_cast<uintptr_t>(scratch.data()) % 64;
  linear_product(Isa::baseline, weight, {activation, x.data(), m, weight.in_features},
                 {y.data(), weight.out_features, bias.data()},
                 scratch.data() + (64 - misplaced) % 64,
                 {1, [](uint64_t tasks, const std::function<void(uint64_t)>& body) {
                    for (uint64_t task = 0; task < tasks; ++task) body(task);
                  }});
  return y;
}

// With outliers in every 24th column, and one where only some rows have it.
std::string check_llm_int8(WeightType activation, float threshold, uint32_t m, uint32_t rows,
                           uint32_t columns) {
  Random random(m * 13 + rows + columns);
  const Encoded weight = random_weight(random, rows, columns);
  std::vector<float> wide = normal_values(random, uint64_t{m} * columns);
  for (uint32_t i = 0; i < m; ++i) {
    for (uint32_t column = 3; column < columns; column += 24)
      wide[uint64_t{i} * columns + column] *= 9;
    if (i % 3 == 0) wide[uint64_t{i} * columns + columns - 2] = -7.5f;
  }
  const std::vector<uint8_t> x = encode(activation, wide),
                             bias = encode(activation, normal_values(random, rows));
  kernels::LinearWeight cpu{};
  cpu.arithmetic = Arithmetic::int8_rows;
  cpu.out_features = rows;
  cpu.in_features = columns;
  cpu.codes = weight.codes.data();
  cpu.scb = weight.scb.data();
  cpu.threshold = threshold;
  const std::vector<uint8_t> expected = product_on_cpu(cpu, activation, x, bias, m);
  const DeviceArray<int8_t> codes(weight.codes);
  const DeviceArray<float> scb(weight.scb);
  const DeviceArray<uint8_t> device_x(x), device_bias(bias), y(expected.size()),
      workspace(llm_int8_workspace(m, columns));
  if (const char* error = linear_llm_int8({rows, columns, codes.data(), scb.data()}, threshold,
                                          activation, device_x.data(), device_bias.data(), y.data(),
                                          m, workspace.data(), nullptr))
    return error;
  return compare_bits(activation, expected, y.values());
}

// torchao's integers, of 8 and of 7 bits, with a row of zeros and one of tiny numbers.
std::string check_rounded(WeightType activation, uint32_t m, uint32_t rows, uint32_t columns) {
  Random random(m * 17 + rows + columns);
  const Encoded weight = random_weight(random, rows, columns);
  std::vector<float> wide = normal_values(random, uint64_t{m} * columns);
  for (uint32_t i = 0; i < columns && m > 3; ++i) {
    wide[i] = 0;
    wide[columns + i] *= 1e-6f;
  }
  const std::vector<uint8_t> x = encode(activation, wide),
                             bias = encode(activation, normal_values(random, rows));
  const DeviceArray<int8_t> codes(weight.codes), x_codes(uint64_t{m} * columns);
  const DeviceArray<float> scales(weight.scb), x_scales(m);
  const DeviceArray<uint8_t> device_x(x), device_bias(bias), y(uint64_t{m} * rows * 2);
  for (const bool reduced : {false, true}) {
    ActivationRounding rounding{ActivationRule::torchao_integer};
    if (reduced) {
      rounding.low = -64;
      rounding.high = 63;
      rounding.divisor = 63.5f;
    }
    kernels::LinearWeight cpu{};
    cpu.arithmetic = Arithmetic::int8_rows;
    cpu.out_features = rows;
    cpu.in_features = columns;
    cpu.codes = weight.codes.data();
    cpu.scb = weight.scb.data();
    cpu.rounding = &rounding;
    if (const char* error =
            quantize_int8_activations(activation, device_x.data(), m, columns, rounding,
                                      x_codes.data(), x_scales.data(), nullptr))
      return error;
    if (const char* error =
            linear_int8_rows({rows, columns, codes.data(), scales.data()}, x_codes.data(),
                             x_scales.data(), activation, device_bias.data(), y.data(), m, nullptr))
      return error;
    const std::string difference =
        compare_bits(activation, product_on_cpu(cpu, activation, x, bias, m), y.values());
    if (!difference.empty()) return difference;
  }
  return "";
}

struct Shape {
  uint32_t m, rows, columns;
  std::string text() const {
    return std::to_string(m) + "x" + std::to_string(rows) + "x" + std::to_string(columns);
  }
};

}  // namespace

std::vector<Check> int8_checks(CheckSize size) {
  std::vector<Check> checks;
  for (const WeightType type : kTypes) {
    const std::string name = kernels::name_of(type);
    for (const auto& [rows, columns] :
         {std::pair{3u, 50u}, std::pair{6u, 64u}, std::pair{5u, 1000u}}) {
      const std::string shape = " " + std::to_string(rows) + "x" + std::to_string(columns);
      checks.push_back({"int8 quantize " + name + shape, [=, rows = rows, columns = columns] {
                          return check_quantize(type, rows, columns);
                        }});
      checks.push_back({"int8 dequantize " + name + shape, [=, rows = rows, columns = columns] {
                          return check_dequantize(type, rows, columns);
                        }});
    }
  }
  std::vector<Shape> shapes = {{1, 5, 1096}, {5, 33, 72}, {20, 130, 200}, {129, 12, 72}};
  std::vector<Shape> integer_shapes = {
      {1, 3, 16}, {20, 130, 272}, {70, 130, 272}, {130, 129, 144}, {260, 9, 400}};
  if (size == CheckSize::large) {
    shapes.insert(shapes.end(), {{1, 4096, 4096}, {8, 1000, 11008}, {512, 1536, 6144}});
    integer_shapes.insert(integer_shapes.end(), {{16, 4096, 4096}, {512, 1536, 6144}});
  }
  for (const WeightType activation : {WeightType::f16, WeightType::bf16}) {
    const std::string name = kernels::name_of(activation);
    for (const Shape& shape : shapes)
      checks.push_back(
          {"int8 linear " + name + " " + shape.text(),
           [=] { return check_linear(activation, shape.m, shape.rows, shape.columns); },
           shape.m >= 128});
    for (const Shape& shape : integer_shapes) {
      const bool wgmma = shape.m > 32;
      checks.push_back(
          {"int8 linear int8 to " + name + " " + shape.text(),
           [=] { return check_int8_int8(activation, shape.m, shape.rows, shape.columns); }, wgmma});
      for (const float threshold : {0.0f, 6.0f})
        checks.push_back(
            {"LLM.int8() " + name + " " + shape.text() + (threshold > 0 ? " with outliers" : ""),
             [=] {
               return check_llm_int8(activation, threshold, shape.m, shape.rows, shape.columns);
             },
             wgmma});
      checks.push_back(
          {"int8 linear of rounded activations " + name + " " + shape.text(),
           [=] { return check_rounded(activation, shape.m, shape.rows, shape.columns); }, wgmma});
    }
  }
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
