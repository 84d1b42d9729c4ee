// BitNet's ternary numbers. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <algorithm>
#include <cmath>

#include "kernels/device/ternary.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

constexpr float kStep = 0.37f;

std::vector<uint8_t> random_bytes(uint64_t count) {
  Random random(count);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.bits() >> 7);
  return bytes;
}

// [rows][columns], from -1 to 2.
std::vector<int> numbers_of(const std::vector<uint8_t>& codes, uint32_t rows, uint32_t columns) {
  std::vector<int> numbers;
  for (uint32_t row = 0; row < rows; ++row)
    for (uint32_t i = 0; i < columns; ++i) {
      const uint8_t byte = codes[uint64_t{row % (rows / 4)} * columns + i];
      numbers.push_back((byte >> (row / (rows / 4) * 2) & 3) - 1);
    }
  return numbers;
}

// BitNet's rule as transformers' has it: by the mean of magnitudes, in double.
std::string check_quantize(WeightType type, uint32_t rows, uint32_t columns, bool stores_step) {
  const std::vector<uint8_t> matrix = odd_weights(type, rows, columns);
  const std::vector<float> values = decode(type, matrix);
  double sum = 0;
  for (uint32_t row = 0; row < rows; ++row) {
    double of_row = 0;
    for (uint32_t i = 0; i < columns; ++i) {
      const float value = values[uint64_t{row} * columns + i];
      if (std::isfinite(value)) of_row += std::fabs(value);
    }
    sum += of_row;
  }
  const double count = static_cast<double>(values.size());
  const float scale = 1.0f / std::max(static_cast<float>(sum / count), 1e-5f);
  std::vector<uint8_t> codes(values.size() / 4);
  for (uint64_t i = 0; i < values.size(); ++i) {
    const float scaled = values[i] * scale;
    const float number = std::isnan(scaled) ? 0 : std::clamp(std::nearbyint(scaled), -1.0f, 1.0f);
    codes[i % codes.size()] |=
        static_cast<uint8_t>(static_cast<int>(number + 1) << (2 * (i / codes.size())));
  }
  const DeviceArray<uint8_t> device_matrix(matrix), device_codes(codes.size()),
      device_scale(bytes_of(type));
  const DeviceArray<double> sums(rows);
  if (const char* error =
          quantize_ternary(type, device_matrix.data(), rows, columns, stores_step, sums.data(),
                           device_codes.data(), device_scale.data(), nullptr))
    return error;
  const std::string difference =
      compare_bits(type, encode(type, {stores_step ? 1.0f / scale : scale}), device_scale.values());
  return difference.empty() ? compare_equal("codes", codes, device_codes.values())
                            : "scale " + difference;
}

std::string check_dequantize(WeightType out_type, uint32_t rows, uint32_t columns) {
  const std::vector<uint8_t> codes = random_bytes(uint64_t{rows / 4} * columns);
  std::vector<float> expected;
  for (const int number : numbers_of(codes, rows, columns))
    expected.push_back(static_cast<float>(number) * kStep);
  const DeviceArray<uint8_t> device_codes(codes), out(expected.size() * bytes_of(out_type));
  if (const char* error = dequantize_ternary({rows, columns, device_codes.data(), kStep}, out_type,
                                             out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode(out_type, expected), out.values());
}

// Codes of 8 bits as transformers' BitLinear has them, and what they are multiplied by; of a row
// with a NaN or an infinity zeros and NaN.
struct Rounded {
  std::vector<int> codes;
  std::vector<float> scales;
};
Rounded rounded_rows(WeightType type, const std::vector<float>& x, uint32_t columns) {
  Rounded out;
  for (uint64_t begin = 0; begin < x.size(); begin += columns) {
    float largest = kernels::rounded(type, 1e-5f);
    bool finite = true;
    for (uint32_t i = 0; i < columns; ++i) {
      finite = finite && std::isfinite(x[begin + i]);
      largest = std::max(largest, std::fabs(x[begin + i]));
    }
    const float factor = kernels::rounded(type, 127.0f / largest);
    out.scales.push_back(finite ? 1.0f / factor : NAN);
    for (uint32_t i = 0; i < columns; ++i) {
      const float code = kernels::rounded(type, x[begin + i] * factor);
      out.codes.push_back(finite && !std::isnan(code)
                              ? static_cast<int>(std::clamp(std::nearbyint(code), -128.0f, 127.0f))
                              : 0);
    }
  }
  return out;
}

// Integer sums are exact and every later step is one float32 operation: the bits are given.
std::string check_linear(WeightType activation, uint32_t m, uint32_t rows, uint32_t columns) {
  Random random(m * 5 + rows + columns);
  const std::vector<uint8_t> codes = random_bytes(uint64_t{rows / 4} * columns);
  const std::vector<int> numbers = numbers_of(codes, rows, columns);
  const std::vector<uint8_t> x =
      m > 4 ? odd_weights(activation, m, columns)
            : encode(activation, normal_values(random, uint64_t{m} * columns));
  const std::vector<uint8_t> bias = encode(activation, normal_values(random, rows));
  const std::vector<float> added = decode(activation, bias);
  const Rounded of_x = rounded_rows(activation, decode(activation, x), columns);
  std::vector<float> expected;
  for (uint32_t i = 0; i < m; ++i)
    for (uint32_t row = 0; row < rows; ++row) {
      int sum = 0;
      for (uint32_t k = 0; k < columns; ++k)
        sum += of_x.codes[uint64_t{i} * columns + k] * numbers[uint64_t{row} * columns + k];
      const float scale = of_x.scales[i] * kStep;
      const float result = static_cast<float>(sum) * scale;
      expected.push_back(result + added[row]);
    }
  const DeviceArray<uint8_t> device_codes(codes), device_x(x), device_bias(bias),
      y(expected.size() * 2), workspace(ternary_workspace(m, columns));
  if (const char* error =
          linear_ternary({rows, columns, device_codes.data(), kStep}, activation, device_x.data(),
                         device_bias.data(), y.data(), m, workspace.data(), nullptr))
    return error;
  return compare_bits(activation, encode(activation, expected), y.values());
}

}  // namespace

std::vector<Check> ternary_checks(CheckSize size) {
  std::vector<Check> checks;
  for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
    const std::string name = kernels::name_of(type);
    for (const uint32_t columns : {72u, 53u})
      checks.push_back({"ternary of " + std::to_string(columns) + " columns dequantize to " + name,
                        [=] { return check_dequantize(type, 20, columns); }});
    for (const bool stores_step : {false, true})
      checks.push_back({"ternary quantize " + name + (stores_step ? ", step stored" : ""),
                        [=] { return check_quantize(type, 12, 301, stores_step); }});
  }
  struct Shape {
    uint32_t rows, columns;
  };
  std::vector<Shape> shapes = {{20, 72}, {288, 1096}};
  if (size == CheckSize::large) shapes.push_back({4096, 4096});
  for (const Shape& shape : shapes)
    for (const WeightType activation : {WeightType::f16, WeightType::bf16})
      for (const uint32_t m : {1u, 4u, 7u, 17u, 150u})
        checks.push_back({"ternary of " + std::to_string(shape.columns) + " columns linear " +
                              kernels::name_of(activation) + " " + std::to_string(m) + " rows",
                          [=] { return check_linear(activation, m, shape.rows, shape.columns); }});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
