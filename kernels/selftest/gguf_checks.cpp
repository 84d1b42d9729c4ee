// GGUF's block types. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include "kernels/cpu/gguf/gguf.h"
#include "kernels/device/gguf.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

const char* name_of_type(GgufType type) {
  return type == GgufType::q8_0 ? "q8_0" : type == GgufType::q4_0 ? "q4_0" : "q4_k";
}

std::vector<uint8_t> encode_on_cpu(GgufType type, uint32_t rows, uint32_t columns, Random& random) {
  const GgufCodec& codec = *gguf_codec(Isa::baseline, name_of_type(type));
  const uint64_t row_bytes = uint64_t{columns} / codec.block_size * codec.block_bytes;
  std::vector<uint8_t> blocks(rows * row_bytes);
  for (uint32_t row = 0; row < rows; ++row)
    codec.quantize(normal_values(random, columns).data(), columns, nullptr,
                   &blocks[row * row_bytes]);
  return blocks;
}

std::vector<float> decode_on_cpu(GgufType type, const std::vector<uint8_t>& blocks) {
  const GgufCodec& codec = *gguf_codec(Isa::baseline, name_of_type(type));
  const uint64_t count = blocks.size() / codec.block_bytes;
  std::vector<float> values(count * codec.block_size);
  codec.dequantize(blocks.data(), count, values.data());
  return values;
}

std::string check_dequantize(GgufType type, WeightType out_type, uint32_t rows, uint32_t columns) {
  Random random(rows + columns);
  const std::vector<uint8_t> blocks = encode_on_cpu(type, rows, columns, random);
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
  // q4_k adds scale * sum(q x) and shift * sum(x), whose magnitudes exceed that of their sum.
  const double spread = type == GgufType::q4_k ? 8 : 1;
  const double relative_error =
      m <= 8 ? spread * (columns / 32.0 + 16) * 0x1p-24 : columns * 0x1p-23;
  return compare_linear(linear, relative_error, y.values());
}

}  // namespace

std::vector<Check> gguf_checks(CheckSize size) {
  struct Shape {
    uint32_t m, rows, columns;
  };
  std::vector<Shape> shapes = {{1, 5, 1280}, {3, 9, 256}, {20, 130, 256}};
  if (size == CheckSize::large)
    shapes.insert(shapes.end(), {{1, 4096, 4096}, {8, 1000, 11008}, {512, 1536, 6144}});
  std::vector<Check> checks;
  for (const GgufType type : {GgufType::q8_0, GgufType::q4_0, GgufType::q4_k}) {
    const std::string name = name_of_type(type);
    for (const WeightType out_type : {WeightType::f32, WeightType::f16, WeightType::bf16})
      checks.push_back({name + " dequantize to " + kernels::name_of(out_type) + " 5x512",
                        [=] { return check_dequantize(type, out_type, 5, 512); }});
    for (const WeightType activation : {WeightType::f16, WeightType::bf16})
      for (const Shape& shape : shapes)
        checks.push_back(
            {name + " linear " + kernels::name_of(activation) + " " + std::to_string(shape.m) +
                 "x" + std::to_string(shape.rows) + "x" + std::to_string(shape.columns),
             [=] { return check_linear(type, activation, shape.m, shape.rows, shape.columns); }});
  }
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
