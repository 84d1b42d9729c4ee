// Weights that are decoded only. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include "kernels/cpu/eetq/eetq.h"
#include "kernels/cpu/scaled/scaled.h"
#include "kernels/device/decoders.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

std::vector<uint8_t> random_bytes(uint64_t count) {
  Random random(count);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.bits() >> 7);
  return bytes;
}

std::string check_eetq(WeightType out_type, uint32_t rows, uint32_t columns) {
  Random random(rows + columns);
  const std::vector<uint8_t> codes = random_bytes(uint64_t{rows} * columns);
  std::vector<uint16_t> scales(rows);
  for (uint16_t& scale : scales) scale = static_cast<uint16_t>(random.bits() & 0x3fffu);
  std::vector<uint8_t> expected(uint64_t{rows} * columns * bytes_of(out_type));
  eetq_kernels(Isa::baseline)
      .dequantize(codes.data(), scales.data(), columns, 0, rows, out_type, expected.data());
  const DeviceArray<uint8_t> device_codes(codes), out(expected.size());
  const DeviceArray<uint16_t> device_scales(scales);
  if (const char* error = dequantize_eetq(device_codes.data(), device_scales.data(), rows, columns,
                                          out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, expected, out.values());
}

std::string check_ternary(WeightType out_type, uint32_t rows, uint32_t columns) {
  constexpr float kStep = 0.37f, kValues[] = {-kStep, 0.0f, kStep, 2 * kStep};
  const std::vector<uint8_t> codes = random_bytes(uint64_t{rows / 4} * columns);
  std::vector<float> expected;
  for (uint32_t row = 0; row < rows; ++row)
    for (uint32_t i = 0; i < columns; ++i)
      expected.push_back(
          kValues[codes[uint64_t{row % (rows / 4)} * columns + i] >> (row / (rows / 4) * 2) & 3]);
  const DeviceArray<uint8_t> device_codes(codes), out(expected.size() * bytes_of(out_type));
  if (const char* error = dequantize_ternary(device_codes.data(), kStep, rows, columns, out_type,
                                             out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode(out_type, expected), out.values());
}

std::string check_experts(WeightType out_type, uint32_t experts, uint32_t rows, uint32_t columns) {
  const std::vector<uint8_t> blocks = random_bytes(uint64_t{experts} * rows * columns / 2),
                             scales = random_bytes(uint64_t{experts} * rows * columns / 32);
  ScaledWeight weight{};
  weight.rows = {NarrowType::float4_e2m1, 4, false, columns};
  weight.tiles = {1, 32, columns / 32};
  weight.codes = blocks.data();
  weight.scales = scales.data();
  weight.scale_type = ScaleType::e8m0;
  weight.rounding = WeightType::bf16;
  std::vector<uint8_t> stored(uint64_t{experts} * rows * columns * 4);
  scaled_kernels(Isa::baseline)
      .dequantize(weight, 0, uint64_t{experts} * rows, WeightType::f32, stored.data());
  const std::vector<float> values = decode(WeightType::f32, stored);
  std::vector<float> expected;
  for (uint32_t expert = 0; expert < experts; ++expert)
    for (uint32_t column = 0; column < columns; ++column)
      for (uint32_t row = 0; row < rows; ++row)
        expected.push_back(values[(uint64_t{expert} * rows + row) * columns + column]);
  const DeviceArray<uint8_t> device_blocks(blocks), device_scales(scales),
      out(expected.size() * bytes_of(out_type));
  if (const char* error = dequantize_experts(device_blocks.data(), device_scales.data(), experts,
                                             rows, columns, out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode(out_type, expected), out.values());
}

}  // namespace

std::vector<Check> decoders_checks(CheckSize) {
  std::vector<Check> checks;
  for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
    const std::string to = std::string(" dequantize to ") + kernels::name_of(type);
    checks.push_back({"eetq" + to, [=] { return check_eetq(type, 64, 192); }});
    checks.push_back({"ternary" + to, [=] { return check_ternary(type, 20, 72); }});
    checks.push_back({"ternary of odd columns" + to, [=] { return check_ternary(type, 12, 53); }});
    checks.push_back({"experts" + to, [=] { return check_experts(type, 2, 140, 96); }});
  }
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
