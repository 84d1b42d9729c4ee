// Columns rotated by a stored matrix: numbers, 4-bit floats with scales, activations. Compiled by
// every back end.
#include "kernels/selftest/device_memory.h"

#include "kernels/device/rotated.h"
#include "kernels/device/scaled.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

constexpr WeightType kTypes[] = {WeightType::f32, WeightType::f16, WeightType::bf16};

struct Matrix {
  uint32_t size;
  WeightType type;
  std::vector<uint8_t> stored;
  Matrix(uint32_t of_size, WeightType of_type) : size(of_size), type(of_type) {
    Random random(size);
    stored = encode(type, normal_values(random, uint64_t{size} * size));
  }
  Rotation rotation(const DeviceArray<uint8_t>& on_device, bool transposed) const {
    return {RotationKind::matrix, size, 1, {type, on_device.data()}, transposed};
  }
  std::vector<float> times(const std::vector<float>& values, bool transposed) const {
    const std::vector<float> numbers = decode(type, stored);
    std::vector<float> out;
    for (uint64_t i = 0; i < values.size(); ++i) {
      double sum = 0;
      for (uint64_t j = 0; j < size; ++j)
        sum += double{values[i / size * size + j]} *
               double{numbers[transposed ? j * size + i % size : i % size * size + j]};
      out.push_back(static_cast<float>(sum));
    }
    return out;
  }
};

std::string check_numbers(const Matrix& matrix, uint32_t rows, uint32_t columns, WeightType type,
                          WeightType out_type) {
  Random random(rows + columns);
  const std::vector<uint8_t> numbers =
      encode(type, normal_values(random, uint64_t{rows} * columns));
  const DeviceArray<uint8_t> on_device(matrix.stored), device_numbers(numbers),
      out(uint64_t{rows} * columns * bytes_of(out_type));
  if (const char* error =
          dequantize_rotated({type, device_numbers.data()}, rows, columns,
                             matrix.rotation(on_device, false), out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode(out_type, matrix.times(decode(type, numbers), false)),
                      out.values());
}

std::string check_float4(const Matrix& matrix, uint32_t rows, uint32_t columns,
                         WeightType out_type) {
  Random random(rows + columns);
  std::vector<uint8_t> codes(uint64_t{rows} * columns / 2), scales(uint64_t{rows} * columns / 16);
  for (uint8_t& code : codes) code = static_cast<uint8_t>(random.bits() >> 9);
  for (uint8_t& scale : scales) scale = static_cast<uint8_t>(32 + (random.bits() >> 9) % 64);
  const auto tensor = [&](const void* of_codes, const void* of_scales) {
    ScaledWeight weight{};
    weight.rows = {NarrowType::float4_e2m1, 8, false, columns};
    weight.codes = of_codes;
    weight.scale_type = ScaleType::e4m3fn;
    weight.scales = of_scales;
    weight.tiles = {1, 16, columns / 16};
    weight.divisor = 3.7f;
    return ScaledTensor{rows, weight};
  };
  std::vector<float> values(uint64_t{rows} * columns);
  scaled_kernels(Isa::baseline)
      .dequantize(tensor(codes.data(), scales.data()).weight, 0, rows, WeightType::f32,
                  values.data());
  const DeviceArray<uint8_t> on_device(matrix.stored), device_codes(codes), device_scales(scales),
      out(values.size() * bytes_of(out_type));
  if (const char* error = dequantize_rotated_scaled(
          tensor(device_codes.data(), device_scales.data()), matrix.rotation(on_device, false),
          out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode(out_type, matrix.times(values, false)), out.values());
}

std::string check_activations(const Matrix& matrix, uint32_t m, uint32_t columns, WeightType type) {
  Random random(m + columns);
  const std::vector<uint8_t> x = encode(type, normal_values(random, uint64_t{m} * columns));
  const DeviceArray<uint8_t> on_device(matrix.stored), device_x(x), out(x.size());
  if (const char* error = rotate_activations(type, device_x.data(), m, columns,
                                             matrix.rotation(on_device, true), out.data(), nullptr))
    return error;
  return compare_bits(type, encode(type, matrix.times(decode(type, x), true)), out.values());
}

}  // namespace

std::vector<Check> rotated_checks(CheckSize) {
  std::vector<Check> checks;
  for (const WeightType type : kTypes) {
    for (const WeightType out : kTypes) {
      const std::string name =
          std::string(" ") + kernels::name_of(type) + " to " + kernels::name_of(out);
      checks.push_back({"rotated numbers" + name, [=] {
                          return check_numbers({16, type}, 5, 80, type, out);
                        }});
      checks.push_back({"rotated float4" + name, [=] {
                          return check_float4({32, type}, 3, 1056, out);
                        }});
    }
    if (type == WeightType::f32) continue;
    for (const uint32_t size : {16u, 128u})
      checks.push_back({"rotated activations " + std::to_string(size), [=] {
                          return check_activations({size, type}, 7, 1280, type);
                        }});
  }
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
