// Weights that have no products. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

#include <algorithm>
#include <cmath>
#include <limits>

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

// With a row of zeros, tiny numbers, halves, a NaN and an infinity.
std::vector<uint8_t> odd_weights(WeightType type, uint32_t rows, uint32_t columns) {
  Random random(rows * 3 + columns);
  std::vector<float> values = normal_values(random, uint64_t{rows} * columns);
  for (uint64_t i = 0; i < values.size(); ++i) {
    const uint64_t row = i / columns, column = i % columns;
    if (row == 1) values[i] = 0;
    if (row == 2) values[i] *= 1e-6f;
    if (row == 3) values[i] = static_cast<float>(static_cast<int>(column % 257) - 128) * 0.5f;
    if (row == 4 && column == 3) values[i] = std::numeric_limits<float>::quiet_NaN();
    if (row == 5 && column == 7) values[i] = -std::numeric_limits<float>::infinity();
  }
  return encode(type, values);
}

std::string check_quantize_eetq(WeightType type, uint32_t rows, uint32_t columns) {
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

// BitNet's rule as transformers' has it: by the mean of magnitudes, in double.
std::string check_quantize_ternary(WeightType type, uint32_t rows, uint32_t columns,
                                   bool stores_step) {
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

struct Spqr {
  uint32_t rows, columns;
  bool in_turn;
  std::vector<uint64_t> dense;
  std::vector<int32_t> starts;
  std::vector<uint32_t> outliers, places;
};

Spqr random_spqr(uint32_t rows, uint32_t columns, bool in_turn, bool permuted) {
  Random random(rows + columns);
  Spqr spqr{rows, columns, in_turn, {}, {0}, {}, {}};
  for (uint64_t i = 0; i < uint64_t{rows} * ((columns + 15) / 16); ++i) {
    const uint64_t word = uint64_t{random.bits()} << 32 | random.bits();
    // The exponents of the tile's numbers stay small.
    spqr.dense.push_back(i % 4 == 2 ? word & ~(uint64_t{0xc0} << 54) : word);
  }
  const uint32_t entries = in_turn ? rows / 16 : rows;
  for (uint32_t i = 0; i < entries; ++i) {
    const uint32_t more = in_turn ? i % 3 * 16 : i % 5;
    for (uint32_t j = 0; j < more; ++j)
      spqr.outliers.push_back((random.bits() & 0xbfff0000u) | (random.bits() >> 9) % columns);
    spqr.starts.push_back(static_cast<int32_t>(spqr.outliers.size()));
  }
  for (uint32_t i = 0; permuted && i < columns; ++i) spqr.places.push_back((i * 7 + 3) % columns);
  return spqr;
}

float half_of(float value) {
  return rounded(WeightType::f16, value);
}
float half_from(uint64_t bits) {
  return decode(WeightType::f16, {static_cast<uint8_t>(bits), static_cast<uint8_t>(bits >> 8)})[0];
}

// Row by row: tiles, then the row's outliers one after the other.
std::vector<float> values_of(const Spqr& w) {
  const auto step = [](float scale, float number, float zero) {
    return half_of(scale * half_of(number - zero));
  };
  std::vector<float> out(uint64_t{w.rows} * w.columns);
  for (uint32_t row = 0; row < w.rows; ++row) {
    std::vector<float> stored;
    for (uint32_t column = 0; column < w.columns; ++column) {
      const uint64_t* tile = &w.dense[(row / 16 * ((w.columns + 15) / 16) + column / 16) * 16];
      const auto number = [&](uint32_t i) {
        return half_from((tile[4 * i] >> 54 & 255) | (tile[4 * i + 2] >> 54 & 255) << 8);
      };
      const auto code = [&](uint32_t i) {
        return static_cast<float>(tile[row % 16] >> (3 * i) & 7);
      };
      const float scale = step(number(0), code(0), number(2)),
                  zero = step(number(1), code(1), number(3));
      stored.push_back(step(scale, code(2 + column % 16), zero));
    }
    for (int32_t i = w.in_turn ? w.starts[row / 16] : w.starts[row];
         i < w.starts[(w.in_turn ? row / 16 : row) + 1]; ++i) {
      const uint32_t outlier = w.outliers[static_cast<size_t>(i)];
      if (!w.in_turn || static_cast<uint32_t>(i) % 16 == row % 16)
        stored[outlier & 0xffff] += half_from(outlier >> 16);
    }
    for (uint32_t column = 0; column < w.columns; ++column)
      out[uint64_t{row} * w.columns + column] =
          half_of(stored[w.places.empty() ? column : w.places[column]]);
  }
  return out;
}

std::string check_spqr(WeightType out_type, const Spqr& w) {
  const DeviceArray<uint64_t> dense(w.dense);
  const DeviceArray<int32_t> starts(w.starts, Content::places);
  const DeviceArray<uint32_t> outliers(w.outliers), places(w.places, Content::places);
  const DeviceArray<uint8_t> out(uint64_t{w.rows} * w.columns * bytes_of(out_type));
  if (const char* error =
          dequantize_spqr({w.rows, w.columns, dense.data(), starts.data(), w.in_turn,
                           outliers.data(), w.places.empty() ? nullptr : places.data()},
                          out_type, out.data(), nullptr))
    return error;
  return compare_bits(out_type, encode(out_type, values_of(w)), out.values());
}

}  // namespace

std::vector<Check> decoders_checks(CheckSize) {
  std::vector<Check> checks;
  for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
    const std::string to = std::string(" dequantize to ") + kernels::name_of(type);
    checks.push_back({"eetq" + to, [=] { return check_eetq(type, 64, 192); }});
    checks.push_back({"ternary" + to, [=] { return check_ternary(type, 20, 72); }});
    checks.push_back({"ternary of odd columns" + to, [=] { return check_ternary(type, 12, 53); }});
    checks.push_back(
        {"spqr" + to, [=] { return check_spqr(type, random_spqr(32, 80, false, false)); }});
    checks.push_back({"spqr in turn, outliers permuted" + to,
                      [=] { return check_spqr(type, random_spqr(48, 72, true, true)); }});
    const std::string of = std::string(" quantize ") + kernels::name_of(type);
    checks.push_back({"eetq" + of, [=] { return check_quantize_eetq(type, 64, 320); }});
    for (const bool stores_step : {false, true})
      checks.push_back({"ternary" + of + (stores_step ? ", step stored" : ""),
                        [=] { return check_quantize_ternary(type, 12, 301, stores_step); }});
    checks.push_back({"experts" + to, [=] { return check_experts(type, 2, 140, 96); }});
  }
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
