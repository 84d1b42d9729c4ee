// AQLM's additive codebooks. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include "kernels/device/aqlm.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

struct Stored {
  AqlmShape shape;
  WeightType type;
  std::vector<uint8_t> codes, codebooks, scales;

  Stored(const AqlmShape& of, WeightType of_type) : shape(of), type(of_type) {
    Random random(shape.rows + shape.columns + static_cast<uint64_t>(shape.bits));
    codes.resize(shape.blocks() * shape.codebooks * (shape.bits > 8 ? 2 : 1));
    for (uint8_t& code : codes) code = static_cast<uint8_t>(random.bits() >> 9);
    codebooks = encode(
        type, normal_values(random, shape.codebooks * shape.codewords() * shape.block_size()));
    std::vector<float> numbers(shape.out_groups());
    for (float& number : numbers) number = random.uniform(0.01f, 0.05f);
    scales = encode(type, numbers);
  }
  AqlmWeight weight(const void* of_codes, const void* of_books, const void* of_scales) const {
    return {shape,    of_codes, shape.in_groups() * shape.codebooks, shape.codebooks, type,
            of_books, of_scales};
  }
  std::vector<uint8_t> values(WeightType out_type) const {
    std::vector<uint8_t> out(shape.rows * shape.columns * bytes_of(out_type));
    aqlm_kernels(Isa::baseline)
        .dequantize(weight(codes.data(), codebooks.data(), scales.data()), 0, shape.rows, out_type,
                    out.data());
    return out;
  }
};

std::string check_dequantize(const AqlmShape& shape, WeightType type, WeightType out_type) {
  const Stored stored(shape, type);
  const DeviceArray<uint8_t> codes(stored.codes), books(stored.codebooks), scales(stored.scales),
      out(shape.rows * shape.columns * bytes_of(out_type));
  if (const char* error = dequantize_aqlm(stored.weight(codes.data(), books.data(), scales.data()),
                                          out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, stored.values(out_type), out.values());
}

// Codebooks in float32, so that the bounds are those of the sums.
std::string check_linear(const AqlmShape& shape, WeightType activation, uint32_t m) {
  const Stored stored(shape, WeightType::f32);
  const auto rows = static_cast<uint32_t>(shape.rows),
             columns = static_cast<uint32_t>(shape.columns);
  Random random(m + columns);
  LinearCase linear{m, rows, columns, activation, {}, {}, {}};
  linear.weight = decode(WeightType::f32, stored.values(WeightType::f32));
  if (m > 8) linear.weight = decode(activation, encode(activation, linear.weight));
  const std::vector<uint8_t> x = encode(activation, normal_values(random, uint64_t{m} * columns));
  linear.x = decode(activation, x);
  const DeviceArray<uint8_t> codes(stored.codes), books(stored.codebooks), scales(stored.scales),
      device_x(x), y(uint64_t{m} * rows * 2);
  if (const char* error = linear_aqlm(stored.weight(codes.data(), books.data(), scales.data()),
                                      activation, device_x.data(), nullptr, y.data(), m, nullptr))
    return error;
  return compare_linear(linear, m <= 8 ? (columns / 32.0 + 16) * 0x1p-24 : columns * 0x1p-23,
                        y.values());
}

std::string name_of(const AqlmShape& shape) {
  return "aqlm " + std::to_string(shape.codebooks) + "x" + std::to_string(shape.bits) + " " +
         std::to_string(shape.out_group) + "x" + std::to_string(shape.in_group);
}

}  // namespace

std::vector<Check> aqlm_checks(CheckSize size) {
  const AqlmShape shapes[] = {
      {18, 96, 1, 8, 2, 8}, {20, 96, 2, 16, 1, 12}, {9, 64, 1, 8, 1, 16}, {9, 320, 1, 8, 3, 5}};
  std::vector<Check> checks;
  for (const AqlmShape& shape : shapes)
    for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16})
      checks.push_back({name_of(shape) + " dequantize " + kernels::name_of(type),
                        [=] { return check_dequantize(shape, type, type); }});
  AqlmShape product{130, 320, 1, 8, 2, 8};
  if (size == CheckSize::large) product = {4096, 4096, 1, 8, 2, 8};
  for (const WeightType activation : {WeightType::f16, WeightType::bf16})
    for (const uint32_t m : {1u, 4u, 7u, 17u, 150u})
      checks.push_back({name_of(product) + " linear " + kernels::name_of(activation) + " " +
                            std::to_string(m) + " rows",
                        [=] { return check_linear(product, activation, m); }, m >= 128});
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
