// float8 by tiles, by rows and as a whole. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/activations/activations.h"
#include "kernels/cpu/common/float8.h"
#include "kernels/cpu/quanto/quanto.h"
#include "kernels/device/float8.h"
#include "kernels/device/host_runtime.h"
#include "kernels/selftest/checks.h"
#include "kernels/selftest/reference.h"

namespace precis::kernels::PRECIS_DEVICE {
namespace {

constexpr WeightType kTypes[] = {WeightType::f32, WeightType::f16, WeightType::bf16};

struct Shape {
  uint32_t rows, columns;
  Float8TileShape tile;
  std::string text() const {
    return std::to_string(rows) + "x" + std::to_string(columns) + " by " +
           std::to_string(tile.rows) + "x" + std::to_string(tile.columns);
  }
  Fp8Tiles tiles() const {
    return {columns, tile.rows == 0 ? rows : tile.rows, tile.columns == 0 ? columns : tile.columns};
  }
  uint64_t tile_count() const {
    return (rows + tiles().tile_rows - 1) / tiles().tile_rows * tiles().tiles_per_row();
  }
};

const Fp8Kernels& cpu() {
  return fp8_kernels(Isa::baseline);
}

// Every code but, where they are not wanted, the NaNs.
std::vector<uint8_t> random_codes(Random& random, uint64_t count, bool nans) {
  std::vector<uint8_t> codes(count);
  for (uint8_t& code : codes) {
    code = static_cast<uint8_t>(random.bits());
    if (!nans && (code & 0x7f) >= 0x7c) code = static_cast<uint8_t>(code & 0x83);
  }
  return codes;
}

// Stored scales that keep decoded values near 1.
std::vector<uint8_t> random_scales(Random& random, Fp8ScaleType type, uint64_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = random.uniform(0.5f, 1.5f) / 64;
  if (type == Fp8ScaleType::f32) return encode(WeightType::f32, values);
  if (type == Fp8ScaleType::f16) return encode(WeightType::f16, values);
  if (type == Fp8ScaleType::bf16) return encode(WeightType::bf16, values);
  std::vector<uint8_t> exponents(count);
  for (uint8_t& exponent : exponents) exponent = static_cast<uint8_t>(119 + random.bits() % 5);
  return exponents;
}

std::string check_dequantize(Fp8ScaleType scale_type, WeightType out_type, Shape shape) {
  Random random(shape.rows + shape.columns);
  const std::vector<uint8_t> codes =
      random_codes(random, uint64_t{shape.rows} * shape.columns, true);
  std::vector<uint8_t> scales = random_scales(random, scale_type, shape.tile_count());
  if (scale_type == Fp8ScaleType::e8m0 && scales.size() > 2) {
    scales[0] = 0;  // 2^-127, which no normal float32 holds
    scales[1] = 255;
  }
  std::vector<uint8_t> expected(codes.size() * bytes_of(out_type));
  cpu().dequantize(codes.data(), shape.tiles(), scale_type, scales.data(), 0, shape.rows, out_type,
                   expected.data());
  const DeviceArray<uint8_t> device_codes(codes), device_scales(scales), out(expected.size());
  const Float8Tensor tensor{Float8Type::e4m3fn,   shape.rows,     shape.columns,
                            device_codes.data(),  shape.tile,     scale_type,
                            device_scales.data(), WeightType::f32};
  if (const char* error = dequantize_float8(tensor, out_type, out.data(), nullptr)) return error;
  return compare_bits(out_type, expected, out.values());
}

std::string check_dequantize_quanto(Float8Type type, WeightType scale_type, WeightType out_type) {
  constexpr uint32_t kRows = 9, kColumns = 72;
  Random random(17);
  const std::vector<uint8_t> codes = random_codes(random, uint64_t{kRows} * kColumns, true);
  const std::vector<uint8_t> scales = encode(scale_type, normal_values(random, kRows));
  std::vector<uint8_t> expected(codes.size() * bytes_of(out_type));
  quanto_kernels(Isa::baseline)
      .dequantize_bytes(
          type == Float8Type::e4m3fn ? QuantoByteType::float8_e4m3fn : QuantoByteType::float8_e5m2,
          scale_type, codes.data(), scales.data(), true, kColumns, 0, kRows, out_type,
          expected.data());
  const DeviceArray<uint8_t> device_codes(codes), device_scales(scales), out(expected.size());
  const Fp8ScaleType stored = scale_type == WeightType::f32   ? Fp8ScaleType::f32
                              : scale_type == WeightType::f16 ? Fp8ScaleType::f16
                                                              : Fp8ScaleType::bf16;
  if (const char* error = dequantize_float8({type,
                                             kRows,
                                             kColumns,
                                             device_codes.data(),
                                             {1, 0},
                                             stored,
                                             device_scales.data(),
                                             scale_type},
                                            out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, expected, out.values());
}

// Weights with a row of zeros, a NaN, an infinity and numbers that become subnormal.
std::vector<float> odd_weights(Random& random, uint32_t rows, uint32_t columns) {
  std::vector<float> values = normal_values(random, uint64_t{rows} * columns);
  for (uint64_t i = 0; i < values.size(); ++i) {
    if (i / columns == 1) values[i] = 0;
    if (i / columns == 2) values[i] *= 1e-6f;
    if (i / columns == 4 && i % columns == 3) values[i] = std::numeric_limits<float>::quiet_NaN();
    if (i / columns == 5 && i % columns == 4) values[i] = std::numeric_limits<float>::infinity();
    if (i % 11 == 7) values[i] *= 1e-3f;
  }
  return values;
}

std::string compare_encoded(WeightType scale_type, const std::vector<uint8_t>& codes,
                            const std::vector<uint8_t>& scales,
                            const DeviceArray<uint8_t>& device_codes,
                            const DeviceArray<uint8_t>& device_scales) {
  const std::string difference = compare_bits(scale_type, scales, device_scales.values());
  if (!difference.empty()) return "scale " + difference;
  std::vector<uint8_t> got = device_codes.values();
  // Of a NaN's sign nothing is asked.
  for (uint64_t i = 0; i < got.size(); ++i)
    if ((codes[i] & 0x7f) == 0x7f && (got[i] & 0x7f) == 0x7f) got[i] = codes[i];
  return compare_equal("codes", codes, got);
}

enum class Encoder { tiles, exponent_tiles, rows };

std::string check_quantize(Encoder encoder, WeightType type, Shape shape) {
  Random random(shape.rows * 3 + shape.columns);
  std::vector<float> values = odd_weights(random, shape.rows, shape.columns);
  if (shape.tile.rows == 0)  // a NaN would be all that is left of the whole
    values = normal_values(random, values.size());
  const std::vector<uint8_t> matrix = encode(type, values);
  const bool exponents = encoder == Encoder::exponent_tiles;
  const Fp8ScaleType scale_type = exponents ? Fp8ScaleType::e8m0 : Fp8ScaleType::f32;
  std::vector<uint8_t> codes(values.size()), scales(shape.tile_count() * (exponents ? 1 : 4));
  if (encoder != Encoder::rows)
    cpu().quantize_tiles(type, matrix.data(), shape.tiles(), scale_type, 0, shape.rows,
                         codes.data(), scales.data());
  else
    cpu().quantize_rows(type, matrix.data(), shape.columns, 0, shape.rows, codes.data(),
                        reinterpret_cast<float*>(scales.data()));
  const DeviceArray<uint8_t> device_matrix(matrix), device_codes(codes.size()),
      device_scales(scales.size());
  const DeviceArray<uint32_t> workspace(kFloat8WorkspaceWords);
  const char* error =
      encoder == Encoder::rows
          ? quantize_float8_rows(type, device_matrix.data(), shape.rows, shape.columns,
                                 device_codes.data(),
                                 reinterpret_cast<float*>(device_scales.data()), nullptr)
          : quantize_float8_tiles(type, device_matrix.data(), shape.rows, shape.columns, shape.tile,
                                  scale_type, device_codes.data(), device_scales.data(),
                                  workspace.data(), nullptr);
  if (error != nullptr) return error;
  if (exponents) {
    const std::string difference = compare_equal("scales", scales, device_scales.values());
    return difference.empty() ? compare_equal("codes", codes, device_codes.values()) : difference;
  }
  return compare_encoded(WeightType::f32, codes, scales, device_codes, device_scales);
}

// Largest magnitudes a little above 448 times a power of two.
std::string check_exponents_near_powers_of_two() {
  constexpr uint32_t kSteps = 32;
  constexpr int kLeast = -110, kMost = 110;
  const Shape shape{static_cast<uint32_t>(kMost - kLeast) * kSteps, 8, {1, 8}};
  std::vector<float> values(uint64_t{shape.rows} * shape.columns);
  for (uint32_t row = 0; row < shape.rows; ++row)
    values[row * 8] = std::ldexp(448.0f * (1.0f + static_cast<float>(row % kSteps) * 0x1p-23f),
                                 kLeast + static_cast<int>(row / kSteps));
  std::vector<uint8_t> codes(values.size()), scales(shape.tile_count());
  cpu().quantize_tiles(WeightType::f32, values.data(), shape.tiles(), Fp8ScaleType::e8m0, 0,
                       shape.rows, codes.data(), scales.data());
  const DeviceArray<float> matrix(values);
  const DeviceArray<uint8_t> device_codes(codes.size()), device_scales(scales.size());
  if (const char* error = quantize_float8_tiles(
          WeightType::f32, matrix.data(), shape.rows, shape.columns, shape.tile, Fp8ScaleType::e8m0,
          device_codes.data(), device_scales.data(), nullptr, nullptr))
    return error;
  return compare_equal("scales", scales, device_scales.values());
}

std::string check_activations(WeightType type, const ActivationRounding& rounding) {
  constexpr uint32_t kRows = 7, kColumns = 264;
  Random random(rounding.group);
  std::vector<float> values = odd_weights(random, kRows, kColumns);
  values[3] = 2000.0f;
  const std::vector<uint8_t> x = encode(type, values);
  const bool own_dtype = in_own_dtype(rounding.rule);
  const WeightType out_type = own_dtype ? type : WeightType::f32;
  std::vector<uint8_t> rounded(values.size() * (own_dtype ? 2 : 4));
  activation_kernels(Isa::baseline)
      .round(rounding, type, x.data(), kColumns, kRows, kColumns, out_type, rounded.data());
  std::vector<float> expected = decode(out_type, rounded), got(values.size());
  const auto tile = static_cast<uint32_t>(rounding.group == 0 ? kColumns : rounding.group);
  const uint32_t tiles = (kColumns + tile - 1) / tile;
  const DeviceArray<uint8_t> device_x(x), codes(values.size());
  const DeviceArray<float> scales(kRows * tiles);
  if (const char* error = quantize_float8_activations(
          type, device_x.data(), kRows, kColumns, rounding, codes.data(), scales.data(), nullptr))
    return error;
  const std::vector<uint8_t> stored = codes.values();
  const std::vector<float> of_tiles = scales.values();
  for (uint32_t row = 0; row < kRows; ++row) {
    float* numbers = &got[row * kColumns];
    bool nan = false;
    for (uint32_t i = 0; i < kColumns; ++i) {
      numbers[i] =
          float8_e4m3fn_to_float(stored[row * kColumns + i]) * of_tiles[row * tiles + i / tile];
      nan = nan || std::isnan(numbers[i]);
    }
    // The host gives a row with an infinity or a NaN up as a whole, as a sum over it does.
    if (nan) std::fill_n(numbers, kColumns, std::numeric_limits<float>::quiet_NaN());
  }
  // Of zeros the sign is lost in a sum.
  for (std::vector<float>* numbers : {&expected, &got})
    for (float& number : *numbers) number += 0.0f;
  return compare_bits(out_type, encode(out_type, expected), encode(out_type, got));
}

std::string check_quantize_quanto(QuantoByteType format, WeightType type, uint32_t columns) {
  constexpr uint32_t kRows = 7;
  Random random(columns);
  const std::vector<uint8_t> matrix = encode(type, odd_weights(random, kRows, columns));
  std::vector<uint8_t> codes(uint64_t{kRows} * columns), scales(kRows * bytes_of(type));
  quanto_kernels(Isa::baseline)
      .quantize_bytes(format, type, matrix.data(), columns, 0, kRows, codes.data(), scales.data());
  const DeviceArray<uint8_t> device_matrix(matrix), device_codes(codes.size()),
      device_scales(scales.size());
  if (const char* error = quantize_quanto_bytes(format, type, device_matrix.data(), kRows, columns,
                                                device_codes.data(), device_scales.data(), nullptr))
    return error;
  if (format != QuantoByteType::int8)
    return compare_encoded(type, codes, scales, device_codes, device_scales);
  const std::string difference = compare_bits(type, scales, device_scales.values());
  return difference.empty() ? compare_equal("codes", codes, device_codes.values()) : difference;
}

// A random weight and its values.
struct Encoded {
  std::vector<uint8_t> codes, scales;
  std::vector<float> values;
};
Encoded random_weight(Random& random, Shape shape, Fp8ScaleType scale_type) {
  Encoded out{random_codes(random, uint64_t{shape.rows} * shape.columns, false),
              random_scales(random, scale_type, shape.tile_count()),
              {}};
  out.values.resize(out.codes.size());
  cpu().dequantize(out.codes.data(), shape.tiles(), scale_type, out.scales.data(), 0, shape.rows,
                   WeightType::f32, out.values.data());
  return out;
}

std::string check_linear(WeightType activation, uint32_t m, Shape shape) {
  Random random(m * 5 + shape.rows + shape.columns);
  const Encoded weight = random_weight(random, shape, Fp8ScaleType::bf16);
  const std::vector<uint8_t> x =
      encode(activation, normal_values(random, uint64_t{m} * shape.columns));
  LinearCase linear{m, shape.rows, shape.columns, activation, weight.values, {}, {}};
  if (m > 8) linear.weight = decode(activation, encode(activation, linear.weight));
  linear.x = decode(activation, x);
  const DeviceArray<uint8_t> codes(weight.codes), scales(weight.scales), device_x(x),
      y(uint64_t{m} * shape.rows * 2);
  if (const char* error =
          linear_float8({Float8Type::e4m3fn, shape.rows, shape.columns, codes.data(), shape.tile,
                         Fp8ScaleType::bf16, scales.data(), WeightType::f32},
                        activation, device_x.data(), nullptr, y.data(), m, nullptr))
    return error;
  const double relative_error =
      m <= 8 ? (shape.columns / 32.0 + 16) * 0x1p-24 : shape.columns * 0x1p-23;
  return compare_linear(linear, relative_error, y.values());
}

// What a device's wgmma adds to the error of float8 products, which it sums with about 14 bits.
double wgmma_error([[maybe_unused]] Shape shape) {
#if defined(PRECIS_DEVICE_SIMT)
  return 0;
#else
  return shape.columns % 16 == 0 && wgmma_available() ? 0x1p-9 : 0;
#endif
}

std::string check_float8_float8(WeightType activation, uint32_t m, Shape shape,
                                uint32_t x_columns) {
  Random random(m * 7 + shape.rows + shape.columns);
  const Encoded weight = random_weight(random, shape, Fp8ScaleType::f32);
  const Encoded x = random_weight(random, {m, shape.columns, {1, x_columns}}, Fp8ScaleType::f32);
  const std::vector<uint8_t> bias = encode(activation, normal_values(random, shape.rows));
  const LinearCase linear{
      m, shape.rows, shape.columns, activation, weight.values, x.values, decode(activation, bias)};
  const DeviceArray<uint8_t> codes(weight.codes), scales(weight.scales), x_codes(x.codes),
      x_scales(x.scales), device_bias(bias), y(uint64_t{m} * shape.rows * 2);
  if (const char* error = linear_float8_float8(
          {Float8Type::e4m3fn, shape.rows, shape.columns, codes.data(), shape.tile,
           Fp8ScaleType::f32, scales.data(), WeightType::f32},
          {x_codes.data(), reinterpret_cast<const float*>(x_scales.data()), x_columns}, activation,
          device_bias.data(), y.data(), m, nullptr))
    return error;
  return compare_linear(linear, shape.columns * 0x1p-23 + wgmma_error(shape), y.values());
}

void add_linear_checks(std::vector<Check>& checks, CheckSize size) {
  struct Case {
    uint32_t m;
    Shape shape;
  };
  std::vector<Case> cases = {{1, {5, 1096, {128, 128}}},    {3, {9, 256, {1, 0}}},
                             {8, {7, 264, {0, 0}}},         {20, {130, 200, {128, 128}}},
                             {129, {12, 72, {1, 0}}},       {20, {131, 208, {0, 0}}},
                             {150, {130, 400, {128, 128}}}, {129, {12, 272, {1, 0}}}};
  if (size == CheckSize::large)
    cases.insert(cases.end(), {{1, {4096, 4096, {128, 128}}},
                               {8, {1000, 11008, {1, 0}}},
                               {512, {1536, 6144, {128, 128}}}});
  for (const WeightType activation : {WeightType::f16, WeightType::bf16}) {
    const std::string name = kernels::name_of(activation);
    for (const Case& c : cases) {
      const std::string text = std::to_string(c.m) + " rows, " + c.shape.text();
      checks.push_back({"float8 linear " + name + " " + text,
                        [=] { return check_linear(activation, c.m, c.shape); }, c.m >= 128});
      const uint32_t x_columns = c.shape.tile.columns;
      checks.push_back({"float8 linear float8 to " + name + " " + text,
                        [=] { return check_float8_float8(activation, c.m, c.shape, x_columns); },
                        c.shape.columns % 16 == 0});
    }
  }
}

}  // namespace

std::vector<Check> float8_checks(CheckSize size) {
  std::vector<Check> checks;
  const std::vector<Shape> shapes = {{9, 136, {1, 0}}, {6, 264, {1, 128}}, {130, 200, {128, 128}},
                                     {20, 72, {0, 0}}, {7, 1096, {1, 0}},  {3, 50, {1, 0}}};
  for (const WeightType type : kTypes) {
    const std::string name = kernels::name_of(type);
    for (const Shape& shape : shapes) {
      checks.push_back({"float8 quantize " + name + " " + shape.text(),
                        [=] { return check_quantize(Encoder::tiles, type, shape); }});
      checks.push_back({"float8 quantize, E8M0 scales, " + name + " " + shape.text(),
                        [=] { return check_quantize(Encoder::exponent_tiles, type, shape); }});
      for (const Fp8ScaleType scale : {Fp8ScaleType::f32, Fp8ScaleType::e8m0})
        checks.push_back({"float8 dequantize to " + name + " " + shape.text(),
                          [=] { return check_dequantize(scale, type, shape); }});
      if (shape.tile.rows == 1 && shape.tile.columns == 0)
        checks.push_back({"float8 quantize rows " + name + " " + shape.text(),
                          [=] { return check_quantize(Encoder::rows, type, shape); }});
    }
    for (const QuantoByteType format :
         {QuantoByteType::int8, QuantoByteType::float8_e4m3fn, QuantoByteType::float8_e5m2})
      for (const uint32_t columns : {96u, 1000u})
        checks.push_back({"quanto quantize bytes " + name,
                          [=] { return check_quantize_quanto(format, type, columns); }});
    for (const Float8Type format : {Float8Type::e4m3fn, Float8Type::e5m2}) {
      const std::string format_name = format == Float8Type::e4m3fn ? "e4m3fn " : "e5m2 ";
      for (const WeightType out_type : kTypes)
        checks.push_back({"quanto float8 dequantize " + format_name + name,
                          [=] { return check_dequantize_quanto(format, type, out_type); }});
    }
  }
  checks.push_back({"float8 E8M0 scales near powers of two", check_exponents_near_powers_of_two});
  for (const WeightType type : {WeightType::f16, WeightType::bf16})
    for (const ActivationRounding& rounding :
         {ActivationRounding{ActivationRule::float8, 128},
          ActivationRounding{ActivationRule::float8},
          ActivationRounding{.rule = ActivationRule::float8,
          .largest = 1200.0f,
          .smallest_scale = 1.0f / (448.0f * 512.0f)},
          ActivationRounding{ActivationRule::compressed_float8},
          ActivationRounding{ActivationRule::compressed_float8, 128}})
      checks.push_back({std::string("float8 activations ") + kernels::name_of(type),
                        [=] { return check_activations(type, rounding); }});
  add_linear_checks(checks, size);
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
