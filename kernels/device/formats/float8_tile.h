// Weights in float8 with one scale for each tile: kernels/cpu/fp8/fp8.h and kernels/cpu/quanto have
// the formats.
#pragma once

#include "kernels/device/float8_numbers.h"
#include "kernels/device/formats/format.h"
#include "kernels/device/formats/stored_scales.h"

namespace precis::kernels::PRECIS_DEVICE {

struct Float8Tile {
  struct Weight {
    uint32_t rows, columns;
    const uint8_t* codes;  // [rows][columns]
    TileScales scales;     // a tile has at least 8 columns
    Float8Codes format;
    Rounding rounding;  // what decoded values are rounded to
  };

  struct Table {
    Float8Codes format;
  };
  static PRECIS_FUNCTION void fill(Table& table, const Weight& weight) {
    if (threadIdx.x == 0) table.format = weight.format;
  }

  struct Run {
    Words2 codes;
    float scale;
  };
  static PRECIS_FUNCTION Run load(const Weight& weight, uint32_t row, uint32_t column) {
    return Run{load_vector<Words2>(weight.codes + uint64_t{row} * weight.columns + column),
               tile_scale(weight.scales, row, column)};
  }
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t count) {
    const uint8_t* from = weight.codes + uint64_t{row} * weight.columns + column;
    uint64_t codes = 0;
    for (uint32_t i = 0; i < count; ++i) codes |= uint64_t{from[i]} << (8 * i);
    return Run{bits_as<Words2>(codes), tile_scale(weight.scales, row, column)};
  }

  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    const Float8Codes format = table.format;
    PRECIS_UNROLL
    for (int i = 0; i < kRun; ++i)
      levels[i] = float8_value(format, (run.codes.words[i / 4] >> (8 * (i % 4))) & 0xffu);
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale, 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight& weight, float level, Scale scale) {
    return round_to(weight.rounding, level * scale.scale);
  }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
