// GGUF's block types. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <cmath>

#include "kernels/cpu/gguf/gguf.h"
#include "kernels/device/gguf.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

const GgufTypeShape& shape_of(GgufType type) {
  return gguf_type_at(static_cast<uint32_t>(type));
}
std::string_view name_of_type(GgufType type) {
  return shape_of(type).name;
}

// Some blocks of normal numbers over and over: lattices are searched slowly.
std::vector<uint8_t> encode_on_cpu(GgufType type, uint32_t rows, uint32_t columns, Random& random) {
  const GgufCodec& codec = *gguf_codec(Isa::baseline, name_of_type(type));
  const uint32_t together = codec.block_size == 1 ? columns : codec.block_size;
  const std::vector<float> importance(together, 1.0f);
  const uint64_t bytes = uint64_t{together} / codec.block_size * codec.block_bytes;
  std::vector<uint8_t> distinct(16 * bytes), blocks(uint64_t{rows} * (columns / together) * bytes);
  for (uint64_t i = 0; i < 16; ++i)
    codec.quantize(normal_values(random, together).data(), together,
                   codec.needs_importance ? importance.data() : nullptr, &distinct[i * bytes]);
  for (uint64_t to = 0; to < blocks.size(); to += bytes)
    std::copy_n(&distinct[random.bits() % 16 * bytes], bytes, &blocks[to]);
  return blocks;
}

// Every code and every scale, NaNs among them.
std::vector<uint8_t> random_blocks(GgufType type, uint32_t rows, uint32_t columns, Random& random) {
  const GgufTypeShape& shape = shape_of(type);
  std::vector<uint8_t> blocks(uint64_t{rows} * columns / shape.block_elements * shape.block_bytes);
  for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(random.bits() >> 13);
  return blocks;
}

std::vector<float> decode_on_cpu(GgufType type, const std::vector<uint8_t>& blocks) {
  const GgufCodec& codec = *gguf_codec(Isa::baseline, name_of_type(type));
  const uint64_t count = blocks.size() / codec.block_bytes;
  std::vector<float> values(count * codec.block_size);
  codec.dequantize(blocks.data(), count, values.data());
  return values;
}

// Rows of normal, of one-sided, of nearly equal and of tiny numbers, with blocks of zeros and
// others whose largest number is next to a power of two.
std::vector<float> varied_weights(Random& random, uint32_t rows, uint32_t columns) {
  std::vector<float> values = normal_values(random, uint64_t{rows} * columns);
  for (uint64_t i = 0; i < values.size(); ++i) {
    const uint64_t row = i / columns, block = i / 32;
    if (row % 5 == 1) values[i] = 2 + 0.1f * values[i];
    if (row % 5 == 2) values[i] = values[i] > 0 ? -values[i] : values[i] * 0.25f;
    if (row % 5 == 3) values[i] *= 1e-9f;
    if (row % 5 == 4 && i % 3 == 0) values[i] = 0.5f;
    if (block % 7 == 5) values[i] = 0;
    if (block % 11 == 8) values[i] *= 1e-36f;
    if (block % 13 == 9) values[i] = i % 2 == 0 ? 1.0f : -1.0f;
    if (block % 5 == 4 && i % 32 == 0)
      values[i] = std::ldexp(1.0f - static_cast<float>(random.bits() % 48) * 0x1p-24f,
                             static_cast<int>(block % 30) - 15);
  }
  return values;
}

std::string check_quantize(GgufType type, WeightType matrix_type, uint32_t rows, uint32_t columns) {
  Random random(rows * 3 + columns);
  const std::vector<uint8_t> matrix = encode(matrix_type, varied_weights(random, rows, columns));
  const std::vector<float> values = decode(matrix_type, matrix);
  const GgufCodec& codec = *gguf_codec(Isa::baseline, name_of_type(type));
  const uint64_t row_bytes = uint64_t{columns} / codec.block_size * codec.block_bytes;
  std::vector<uint8_t> expected(rows * row_bytes);
  for (uint32_t row = 0; row < rows; ++row)
    codec.quantize(&values[uint64_t{row} * columns], columns, nullptr, &expected[row * row_bytes]);
  const DeviceArray<uint8_t> device_matrix(matrix), blocks(expected.size());
  if (const char* error = quantize_gguf(type, matrix_type, device_matrix.data(), rows, columns,
                                        blocks.data(), nullptr))
    return error;
  return compare_equal("blocks", expected, blocks.values());
}

std::string check_dequantize(GgufType type, WeightType out_type, uint32_t rows, uint32_t columns) {
  Random random(rows + columns);
  const std::vector<uint8_t> blocks = random_blocks(type, rows, columns, random);
  const DeviceArray<uint8_t> device_blocks(blocks),
      out(uint64_t{rows} * columns * bytes_of(out_type));
  if (const char* error = dequantize_gguf({type, rows, columns, device_blocks.data()}, out_type,
                                          out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode(out_type, decode_on_cpu(type, blocks)), out.values());
}

std::string check_linear(GgufType type, WeightType activation, uint32_t m, uint32_t rows,
                         uint32_t columns) {
  Random random(m + rows * 7 + columns);
  const std::vector<uint8_t> blocks = encode_on_cpu(type, rows, columns, random);
  LinearCase linear{m, rows, columns, activation, decode_on_cpu(type, blocks), {}, {}};
  if (m > 8) linear.weight = decode(activation, encode(activation, linear.weight));
  const std::vector<uint8_t> x = encode(activation, normal_values(random, uint64_t{m} * columns));
  linear.x = decode(activation, x);
  const DeviceArray<uint8_t> device_blocks(blocks), device_x(x), y(uint64_t{m} * rows * 2);
  if (const char* error = linear_gguf({type, rows, columns, device_blocks.data()}, activation,
                                      device_x.data(), nullptr, y.data(), m, nullptr))
    return error;
  // Where there is a shift, scale * sum(q x) and shift * sum(x) exceed their sum.
  const double spread = shape_of(type).shifted ? 8 : 1;
  const double relative_error =
      m <= 8 ? spread * (columns / 32.0 + 16) * 0x1p-24 : columns * 0x1p-23;
  return compare_linear(linear, relative_error, y.values());
}

}  // namespace

std::vector<Check> gguf_checks(CheckSize size) {
  struct Shape {
    uint32_t m, rows, columns;
  };
  std::vector<Shape> shapes = {{1, 5, 1280}, {3, 9, 256}, {20, 130, 256}, {140, 40, 512}};
  if (size == CheckSize::large)
    shapes.insert(shapes.end(), {{1, 4096, 4096}, {8, 1000, 11008}, {512, 1536, 6144}});
  std::vector<Check> checks;
  for (uint32_t i = 0; i < gguf_type_count(); ++i) {
    const auto type = static_cast<GgufType>(i);
    const std::string name(name_of_type(type));
    if (shape_of(type).encodes) {
      for (const WeightType matrix_type : {WeightType::f32, WeightType::f16, WeightType::bf16})
        checks.push_back({name + " quantize " + kernels::name_of(matrix_type) + " 15x768",
                          [=] { return check_quantize(type, matrix_type, 15, 768); }});
      if (size == CheckSize::large)
        checks.push_back({name + " quantize bf16 1000x4096",
                          [=] { return check_quantize(type, WeightType::bf16, 1000, 4096); }});
    }
    for (const WeightType out_type : {WeightType::f32, WeightType::f16, WeightType::bf16})
      checks.push_back({name + " dequantize to " + kernels::name_of(out_type) + " 5x512",
                        [=] { return check_dequantize(type, out_type, 5, 512); }});
    // Types that share kernels take turns with the activations on the executor.
    const bool shares = type > GgufType::q4_k && size == CheckSize::small;
    for (const WeightType activation : {WeightType::f16, WeightType::bf16}) {
      if (shares && (activation == WeightType::f16) != (i % 2 == 0)) continue;
      for (const Shape& shape : shapes)
        checks.push_back(
            {name + " linear " + kernels::name_of(activation) + " " + std::to_string(shape.m) +
                 "x" + std::to_string(shape.rows) + "x" + std::to_string(shape.columns),
             [=] { return check_linear(type, activation, shape.m, shape.rows, shape.columns); },
             shape.m >= 128});
    }
  }
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
