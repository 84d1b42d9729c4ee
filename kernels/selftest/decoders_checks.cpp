// Weights that have no products. Compiled by every back end.
#include "kernels/selftest/device_memory.h"

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
    checks.push_back(
        {"spqr" + to, [=] { return check_spqr(type, random_spqr(32, 80, false, false)); }});
    checks.push_back({"spqr in turn, outliers permuted" + to,
                      [=] { return check_spqr(type, random_spqr(48, 72, true, true)); }});
    checks.push_back({"experts" + to, [=] { return check_experts(type, 2, 140, 96); }});
    checks.push_back({"one expert" + to, [=] { return check_experts(type, 1, 32, 64); }});
  }
  return checks;
}

}  // namespace precis::kernels::PRECIS_DEVICE
