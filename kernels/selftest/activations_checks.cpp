// Activations rounded in their own dtype. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <limits>

#include "kernels/device/activations.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

// Rows of normal numbers, of zeros, of tiny, of one-sided and of large ones, and one with an
// infinity.
constexpr uint32_t kRows = 7;
std::vector<uint8_t> rows_of_x(WeightType type, const ActivationRounding& rounding,
                               uint32_t columns) {
  Random random(columns + static_cast<uint64_t>(rounding.high));
  std::vector<float> values = normal_values(random, uint64_t{kRows} * columns);
  for (uint32_t i = 0; i < columns; ++i) {
    values[columns + i] = i % 2 == 0 ? 0.0f : -0.0f;
    values[2 * columns + i] *= 1e-7f;
    values[3 * columns + i] = 2.0f + 0.1f * values[3 * columns + i];
    values[4 * columns + i] *= 4096.0f;
    if (i / 32 == 1) values[5 * columns + i] = 0.0f;
  }
  values[6 * columns + 5] = std::numeric_limits<float>::infinity();
  return encode(type, values);
}

std::vector<uint8_t> rounded_on_cpu(WeightType type, const ActivationRounding& rounding,
                                    uint32_t columns, const std::vector<uint8_t>& x) {
  std::vector<uint8_t> expected(x.size());
  activation_kernels(Isa::baseline)
      .round(rounding, type, x.data(), columns, kRows, columns, type, expected.data());
  return expected;
}

std::string check_round(WeightType type, const ActivationRounding& rounding, uint32_t columns) {
  const std::vector<uint8_t> x = rows_of_x(type, rounding, columns);
  const DeviceArray<uint8_t> device_x(x), out(x.size());
  if (const char* error =
          round_activations(type, device_x.data(), kRows, columns, rounding, out.data(), nullptr))
    return error;
  return compare_bits(type, rounded_on_cpu(type, rounding, columns, x), out.values());
}

// Codes times scales, rounded, are the numbers of the CPU. Their scales are numbers of x's dtype,
// so that other codes would be other numbers.
std::string check_codes(WeightType type, const ActivationRounding& rounding, uint32_t columns) {
  const std::vector<uint8_t> x = rows_of_x(type, rounding, columns);
  const DeviceArray<uint8_t> device_x(x);
  const DeviceArray<int8_t> device_codes(uint64_t{kRows} * columns);
  const DeviceArray<float> device_scales(kRows);
  if (const char* error = encode_activations(type, device_x.data(), kRows, columns, rounding,
                                             device_codes.data(), device_scales.data(), nullptr))
    return error;
  const std::vector<int8_t> codes = device_codes.values();
  const std::vector<float> scales = device_scales.values();
  std::vector<float> numbers(codes.size());
  for (uint64_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<float>(codes[i]) * scales[i / columns];
  const std::vector<float> expected = decode(type, rounded_on_cpu(type, rounding, columns, x));
  // -0 is the code 0.
  std::vector<float> unsigned_zeros = expected;
  for (float& number : unsigned_zeros) number = number == 0 ? 0.0f : number;
  return compare_bits(type, encode(type, unsigned_zeros), encode(type, numbers));
}

}  // namespace

std::vector<Check> activations_checks(CheckSize size) {
  struct Named {
    const char* name;
    ActivationRounding rounding;
  };
  const Named rules[] = {
      {"compressed int8", {ActivationRule::compressed_integer}},
      {"compressed int8 with zero points",
       {ActivationRule::compressed_integer, 0, -128, 127, false}},
      {"compressed int4 groups", {ActivationRule::compressed_integer, 32, -8, 7, true, 7.5f}},
      {"compressed float8", {ActivationRule::compressed_float8}},
      {"compressed float8 groups", {ActivationRule::compressed_float8, 48}},
      {"torchao int8", {ActivationRule::torchao_fake_integer}},
      {"torchao int8 with zero points",
       {ActivationRule::torchao_fake_integer, 0, -128, 127, false}}};
  std::vector<Check> checks;
  for (const Named& rule : rules)
    for (const WeightType type : {WeightType::f16, WeightType::bf16})
      for (const uint32_t columns : {72u, size == CheckSize::large ? 11008u : 600u})
        checks.push_back(
            {std::string("activations ") + rule.name + " " + kernels::name_of(type) + " " +
                 std::to_string(columns),
             [=, rounding = rule.rounding] { return check_round(type, rounding, columns); }});
  for (const int high : {127, 7})
    for (const WeightType type : {WeightType::f16, WeightType::bf16})
      for (const uint32_t columns : {72u, size == CheckSize::large ? 11008u : 600u}) {
        const ActivationRounding rounding{
            ActivationRule::compressed_integer, 0, -high - 1, high, true,
            static_cast<float>(high) + 0.5f};
        checks.push_back({"activations codes to " + std::to_string(high) + " " +
                              kernels::name_of(type) + " " + std::to_string(columns),
                          [=] { return check_codes(type, rounding, columns); }});
      }
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
