// EETQ's int8: every byte is a code. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include "kernels/cpu/eetq/eetq.h"
#include "kernels/device/eetq.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

struct Eetq {
  uint32_t rows, columns;
  std::vector<uint8_t> codes;
  std::vector<uint16_t> scales;

  std::vector<uint8_t> values(WeightType type) const { return values(type, scales); }
  std::vector<uint8_t> values(WeightType type, const std::vector<uint16_t>& with) const {
    std::vector<uint8_t> out(codes.size() * bytes_of(type));
    eetq_kernels(Isa::baseline)
        .dequantize(codes.data(), with.data(), columns, 0, rows, type, out.data());
    return out;
  }
};

// The bits of each scale are random below `limit`.
Eetq random_eetq(uint32_t rows, uint32_t columns, uint32_t first, uint32_t limit) {
  Random random(rows + columns);
  Eetq weight{rows, columns, std::vector<uint8_t>(uint64_t{rows} * columns), {}};
  for (uint8_t& code : weight.codes) code = static_cast<uint8_t>(random.bits() >> 7);
  for (uint32_t row = 0; row < rows; ++row)
    weight.scales.push_back(static_cast<uint16_t>(first + random.bits() % (limit - first)));
  return weight;
}

struct OnDevice {
  uint32_t rows, columns;
  DeviceArray<uint8_t> codes;
  DeviceArray<uint16_t> scales;
  explicit OnDevice(const Eetq& weight)
      : rows(weight.rows), columns(weight.columns), codes(weight.codes), scales(weight.scales) {}
  EetqTensor tensor() const { return {rows, columns, codes.data(), scales.data()}; }
};

std::string check_dequantize(WeightType out_type, uint32_t rows, uint32_t columns) {
  const Eetq weight = random_eetq(rows, columns, 0, 0x4000);
  const OnDevice device(weight);
  const std::vector<uint8_t> expected = weight.values(out_type);
  const DeviceArray<uint8_t> out(expected.size());
  if (const char* error = dequantize_eetq(device.tensor(), out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, expected, out.values());
}

std::string check_quantize(WeightType type, uint32_t rows, uint32_t columns) {
  const std::vector<uint8_t> matrix = odd_weights(type, rows, columns);
  std::vector<uint8_t> codes(uint64_t{rows} * columns);
  std::vector<uint16_t> scales(rows);
  eetq_kernels(Isa::baseline)
      .quantize(type, matrix.data(), columns, 0, rows, codes.data(), scales.data());
  const DeviceArray<uint8_t> device_matrix(matrix), device_codes(codes.size()),
      device_scales(rows * sizeof(uint16_t));
  if (const char* error =
          quantize_eetq(type, device_matrix.data(), rows, columns, device_codes.data(),
                        reinterpret_cast<uint16_t*>(device_scales.data()), nullptr))
    return error;
  const auto* bytes = reinterpret_cast<const uint8_t*>(scales.data());
  const std::string difference =
      compare_bits(WeightType::f16, std::vector<uint8_t>(bytes, bytes + 2 * scales.size()),
                   device_scales.values());
  return difference.empty() ? compare_equal("codes", codes, device_codes.values())
                            : "scale " + difference;
}

// A few rows of x meet code times scale, many the weight that is decoded to float16 and then to
// their dtype.
std::string check_linear(WeightType activation, uint32_t m, uint32_t rows, uint32_t columns) {
  constexpr uint16_t kOne = 0x3c00, kHundredth = 0x211f, kTwentieth = 0x2a66;
  const Eetq weight = random_eetq(rows, columns, kHundredth, kTwentieth);
  Random random(m + columns);
  LinearCase linear{m, rows, columns, activation, {}, {}, {}};
  if (m <= 8) {
    linear.weight =
        decode(WeightType::f32,
               weight.values(WeightType::f32, std::vector<uint16_t>(uint64_t{rows}, kOne)));
    for (uint64_t i = 0; i < linear.weight.size(); ++i)
      linear.weight[i] *= half_to_float(weight.scales[i / columns]);
  } else {
    linear.weight = decode(activation, weight.values(activation));
  }
  const std::vector<uint8_t> x = encode(activation, normal_values(random, uint64_t{m} * columns)),
                             bias = encode(activation, normal_values(random, rows));
  linear.x = decode(activation, x);
  linear.bias = decode(activation, bias);
  const OnDevice device(weight);
  const DeviceArray<uint8_t> device_x(x), device_bias(bias), y(uint64_t{m} * rows * 2);
  if (const char* error = linear_eetq(device.tensor(), activation, device_x.data(),
                                      device_bias.data(), y.data(), m, nullptr))
    return error;
  const double relative_error = m <= 8 ? (columns / 32.0 + 16) * 0x1p-24 : columns * 0x1p-23;
  return compare_linear(linear, relative_error, y.values());
}

}  // namespace

std::vector<Check> eetq_checks(CheckSize size) {
  std::vector<Check> checks;
  for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
    const std::string name = kernels::name_of(type);
    checks.push_back(
        {"eetq dequantize to " + name, [=] { return check_dequantize(type, 64, 192); }});
    checks.push_back({"eetq quantize " + name, [=] { return check_quantize(type, 64, 320); }});
  }
  struct Shape {
    uint32_t rows, columns;
  };
  std::vector<Shape> shapes = {{64, 192}, {192, 1088}};
  if (size == CheckSize::large) shapes.push_back({4096, 4096});
  for (const Shape& shape : shapes)
    for (const WeightType activation : {WeightType::f16, WeightType::bf16})
      for (const uint32_t m : {1u, 4u, 7u, 17u, 150u})
        checks.push_back({"eetq of " + std::to_string(shape.columns) + " columns linear " +
                              kernels::name_of(activation) + " " + std::to_string(m) + " rows",
                          [=] { return check_linear(activation, m, shape.rows, shape.columns); },
                          m >= 128});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
