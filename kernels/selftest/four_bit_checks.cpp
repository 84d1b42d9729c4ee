// NF4 and FP4. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <limits>

#include "kernels/cpu/bitsandbytes/blockwise.h"
#include "kernels/device/bitsandbytes.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

constexpr WeightType kTypes[] = {WeightType::f32, WeightType::f16, WeightType::bf16};

std::string name_of_type(FourBitType type) {
  return type == FourBitType::nf4 ? "nf4" : "fp4";
}

std::string shape_text(std::initializer_list<uint64_t> sizes) {
  std::string text;
  for (const uint64_t size : sizes) text += (text.empty() ? "" : "x") + std::to_string(size);
  return text;
}

// Weights with a block of zeros, one with a NaN, and one of tiny numbers where there is room.
std::vector<float> odd_weights(uint64_t count, uint32_t blocksize, uint64_t seed) {
  Random random(seed);
  std::vector<float> values = normal_values(random, count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t block = i / blocksize;
    if (block == 1) values[i] = 0;
    if (block == 2) values[i] *= 1e-39f;
    if (block == 3 && i % blocksize == 5) values[i] = std::numeric_limits<float>::quiet_NaN();
    if (block == 4 && i % blocksize == 6) values[i] = std::numeric_limits<float>::infinity();
  }
  return values;
}

struct Encoded {
  std::vector<uint8_t> packed;
  std::vector<float> absmax;
};

Encoded encode_on_cpu(FourBitType type, WeightType weight_type, const std::vector<uint8_t>& weight,
                      uint64_t n, uint32_t blocksize) {
  const uint64_t blocks = (n + blocksize - 1) / blocksize;
  Encoded out{std::vector<uint8_t>((n + 1) / 2), std::vector<float>(blocks)};
  blockwise_kernels(Isa::baseline)
      .quantize_4bit(type, weight_type, weight.data(), n, blocksize, 0, blocks, out.packed.data(),
                     out.absmax.data());
  return out;
}

std::string check_quantize(FourBitType type, WeightType weight_type, uint64_t n,
                           uint32_t blocksize) {
  const std::vector<uint8_t> weight = encode(weight_type, odd_weights(n, blocksize, n + blocksize));
  const Encoded expected = encode_on_cpu(type, weight_type, weight, n, blocksize);
  const DeviceArray<uint8_t> device_weight(weight), packed(expected.packed.size());
  const DeviceArray<float> absmax(expected.absmax.size());
  if (const char* error = quantize_4bit(type, weight_type, device_weight.data(), n, blocksize,
                                        packed.data(), absmax.data(), nullptr))
    return error;
  const std::string difference =
      compare_bits(WeightType::f32, encode(WeightType::f32, expected.absmax),
                   encode(WeightType::f32, absmax.values()));
  if (!difference.empty()) return "absmax " + difference;
  return compare_equal("packed", expected.packed, packed.values());
}

std::string check_dequantize(FourBitType type, WeightType weight_type, WeightType out_type,
                             uint32_t rows, uint32_t columns, uint32_t blocksize) {
  const uint64_t n = uint64_t{rows} * columns;
  const Encoded encoded =
      encode_on_cpu(type, WeightType::f32,
                    encode(WeightType::f32, odd_weights(n, blocksize, n + 7)), n, blocksize);
  std::vector<uint8_t> expected(n * bytes_of(out_type));
  blockwise_kernels(Isa::baseline)
      .dequantize_4bit(type, encoded.packed.data(), encoded.absmax.data(), blocksize, 0, n,
                       weight_type, out_type, expected.data());
  const DeviceArray<uint8_t> packed(encoded.packed), out(expected.size());
  const DeviceArray<float> absmax(encoded.absmax);
  const FourBitTensor tensor{type,      weight_type,   rows,         columns,
                             blocksize, packed.data(), absmax.data()};
  if (const char* error = dequantize_4bit(tensor, out_type, out.data(), nullptr)) return error;
  return compare_bits(out_type, expected, out.values());
}

std::string check_absmax(uint64_t count) {
  Random random(count);
  std::vector<float> absmax(count);
  for (float& value : absmax) value = random.uniform(0.01f, 2.0f);
  std::vector<uint8_t> codes(count);
  std::vector<float> nested((count + kNestedBlocksize - 1) / kNestedBlocksize);
  float offset = 0;
  quantize_absmax(absmax.data(), count, codes.data(), nested.data(), &offset);
  std::vector<float> expected(count);
  const float* codebook = dynamic_8bit_codebook();
  kernels::dequantize_absmax(codes.data(), nested.data(), codebook, offset, kNestedBlocksize, 0,
                             count, expected.data());
  const DeviceArray<uint8_t> device_codes(codes);
  const DeviceArray<float> device_nested(nested), out(count),
      device_codebook(std::vector<float>(codebook, codebook + 256));
  if (const char* error =
          dequantize_absmax(device_codes.data(), device_nested.data(), device_codebook.data(),
                            offset, kNestedBlocksize, count, out.data(), nullptr))
    return error;
  return compare_equal("absmax", expected, out.values());
}

struct LinearShape {
  uint32_t m, rows, columns;
  bool bias;
};

std::string check_linear(FourBitType type, WeightType activation, LinearShape shape) {
  Random random(shape.m * 131 + shape.rows * 17 + shape.columns);
  const uint64_t n = uint64_t{shape.rows} * shape.columns;
  constexpr uint32_t kBlocksize = 64;
  const Encoded encoded = encode_on_cpu(
      type, WeightType::f32, encode(WeightType::f32, normal_values(random, n)), n, kBlocksize);
  LinearCase linear{shape.m, shape.rows, shape.columns, activation, {}, {}, {}};
  const std::vector<uint8_t> x =
      encode(activation, normal_values(random, uint64_t{shape.m} * shape.columns));
  linear.x = decode(activation, x);
  const std::vector<uint8_t> bias =
      encode(activation, normal_values(random, shape.bias ? shape.rows : 0));
  linear.bias = decode(activation, bias);
  // A few rows of x meet the weight as it is; more meet it rounded to their own dtype.
  const bool by_vectors = shape.m <= 8;
  std::vector<uint8_t> decoded(n * 4);
  blockwise_kernels(Isa::baseline)
      .dequantize_4bit(type, encoded.packed.data(), encoded.absmax.data(), kBlocksize, 0, n,
                       by_vectors ? WeightType::f32 : activation, WeightType::f32, decoded.data());
  linear.weight = decode(WeightType::f32, decoded);

  const DeviceArray<uint8_t> packed(encoded.packed), device_x(x), device_bias(bias),
      y(uint64_t{shape.m} * shape.rows * 2);
  const DeviceArray<float> absmax(encoded.absmax);
  const FourBitTensor tensor{type,       activation,    shape.rows,   shape.columns,
                             kBlocksize, packed.data(), absmax.data()};
  if (const char* error =
          linear_4bit(tensor, activation, device_x.data(),
                      shape.bias ? device_bias.data() : nullptr, y.data(), shape.m, nullptr))
    return error;
  const double relative_error =
      by_vectors ? (shape.columns / 32.0 + 16) * 0x1p-24 : shape.columns * 0x1p-23;
  return compare_linear(linear, relative_error, y.values());
}

void add_linear_checks(std::vector<Check>& checks, CheckSize size) {
  std::vector<LinearShape> shapes = {
      {1, 5, 1096, true}, {2, 9, 64, false},    {3, 130, 72, true},    {8, 7, 264, true},
      {9, 21, 200, true}, {33, 136, 64, false}, {130, 129, 136, true}, {257, 40, 328, true}};
  if (size == CheckSize::large)
    shapes.insert(shapes.end(), {{1, 4096, 4096, true},
                                 {5, 1000, 11008, false},
                                 {16, 4096, 4096, true},
                                 {77, 3072, 3072, true},
                                 {512, 1536, 6144, false}});
  for (const WeightType activation : {WeightType::f16, WeightType::bf16})
    for (const LinearShape& shape : shapes)
      checks.push_back({std::string("nf4 linear ") + kernels::name_of(activation) + " " +
                            shape_text({shape.m, shape.rows, shape.columns}),
                        [=] { return check_linear(FourBitType::nf4, activation, shape); },
                        shape.m >= 128});
  checks.push_back({"fp4 linear f16 3x9x512", [] {
                      return check_linear(FourBitType::fp4, WeightType::f16, {3, 9, 512, false});
                    }});
}

}  // namespace

std::vector<Check> four_bit_checks(CheckSize size) {
  std::vector<Check> checks;
  const std::vector<uint64_t> counts = size == CheckSize::small
                                           ? std::vector<uint64_t>{7, 64, 641}
                                           : std::vector<uint64_t>{7, 64, 641, 100003, 1 << 22};
  for (const FourBitType type : {FourBitType::nf4, FourBitType::fp4}) {
    for (const WeightType weight_type : kTypes) {
      for (const uint64_t n : counts)
        for (const uint32_t blocksize : {64u, 256u})
          checks.push_back({name_of_type(type) + " quantize " + kernels::name_of(weight_type) +
                                " " + shape_text({n}) + " blocks of " + std::to_string(blocksize),
                            [=] { return check_quantize(type, weight_type, n, blocksize); }});
      for (const auto& [rows, columns] :
           {std::pair{3u, 50u}, std::pair{9u, 128u}, std::pair{1u, 7u}})
        for (const WeightType out_type : kTypes)
          checks.push_back(
              {name_of_type(type) + " dequantize " + kernels::name_of(weight_type) + " to " +
                   kernels::name_of(out_type) + " " + shape_text({rows, columns}),
               [=, rows = rows, columns = columns] {
                 return check_dequantize(type, weight_type, out_type, rows, columns, 64);
               }});
    }
  }
  checks.push_back({"absmax dequantize 700", [] { return check_absmax(700); }});
  add_linear_checks(checks, size);
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
