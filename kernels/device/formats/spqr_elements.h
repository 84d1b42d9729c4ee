// SpQR's weights one by one (dequantize_elements.h): 3 bits in tiles of 16 x 16 whose scales and
// zero points are codes, too, and sparse outliers that are added.
#pragma once

#include "kernels/device/decoders.h"
#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

struct SpqrElements {
  using Weight = SpqrTensor;

  static PRECIS_FUNCTION float half_of(float value) { return half_value(half_bits(value)); }
  // scale * (number - zero), rounded to float16 twice.
  static PRECIS_FUNCTION float step(float scale, float number, float zero) {
    return half_of(scale * half_of(number - zero));
  }
  // One of the tile's four float16: of each second word, 8 bits from bit 54 up.
  static PRECIS_FUNCTION float tile_number(const uint64_t* tile, uint32_t i) {
    const auto low = static_cast<uint32_t>(tile[4 * i] >> 54) & 255u,
               high = static_cast<uint32_t>(tile[4 * i + 2] >> 54) & 255u;
    return half_value(static_cast<uint16_t>(low | high << 8));
  }
  static PRECIS_FUNCTION float dense(const Weight& w, uint32_t row, uint32_t column) {
    const uint64_t tiles = (w.columns + 15) / 16;
    const uint64_t* tile = w.dense + (row / 16 * tiles + column / 16) * 16;
    const uint64_t word = tile[row % 16];
    const auto code = [&](uint32_t i) { return static_cast<float>(word >> (3 * i) & 7u); };
    const float scale = step(tile_number(tile, 0), code(0), tile_number(tile, 2)),
                zero = step(tile_number(tile, 1), code(1), tile_number(tile, 3));
    return step(scale, code(2 + column % 16), zero);
  }
  template <class Out>
  static PRECIS_FUNCTION float value(const Weight& w, uint32_t row, uint32_t out_column) {
    const uint32_t column = w.places == nullptr ? out_column : w.places[out_column];
    float sum = dense(w, row, column);
    const uint32_t entry = w.in_turn ? row / 16 : row, apart = w.in_turn ? 16 : 1;
    const auto begin = static_cast<uint32_t>(w.starts[entry]) + (w.in_turn ? row % 16 : 0),
               end = static_cast<uint32_t>(w.starts[entry + 1]);
    for (uint32_t i = begin; i < end; i += apart) {
      const uint32_t outlier = w.outliers[i];
      if ((outlier & 0xffffu) == column) sum += half_value(static_cast<uint16_t>(outlier >> 16));
    }
    return half_of(sum);
  }
};

}  // namespace precis::kernels::PRECIS_DEVICE
