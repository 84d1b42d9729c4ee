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
  struct Row {
    const uint8_t* codes;
    uint64_t tile;  // the first of the row
    float scale;    // of that tile
  };
  static PRECIS_FUNCTION Row row(const Weight& weight, uint32_t row) {
    const uint64_t tile = tile_of(weight.scales, row, 0);
    return Row{weight.codes + uint64_t{row} * weight.columns, tile,
               load_stored_scale(weight.scales.type, weight.scales.scales, tile)};
  }
  static PRECIS_FUNCTION Run load(const Weight& weight, const Row& row, uint32_t column,
                                  uint32_t ahead) {
    const TileScales& scales = weight.scales;
    const uint32_t tile = (column + ahead) >> scales.column_shift;
    return Run{load_vector<Words2>(row.codes + column + ahead),
               scales.tiles_per_row == 1
                   ? row.scale
                   : load_stored_scale(scales.type, scales.scales, row.tile + tile)};
  }
  static PRECIS_FUNCTION Run load_part(const Weight& weight, uint32_t row, uint32_t column,
                                       uint32_t count) {
    const uint8_t* from = weight.codes + uint64_t{row} * weight.columns + column;
    uint64_t codes = 0;
    for (uint32_t i = 0; i < count; ++i) codes |= uint64_t{from[i]} << (8 * i);
    return Run{bits_as<Words2>(codes), tile_scale(weight.scales, row, column)};
  }

  static PRECIS_FUNCTION void unpack(const Table& table, const Run& run, float (&levels)[kRun]) {
    float8_values(table.format, run.codes.words[0], levels);
    float8_values(table.format, run.codes.words[1], levels + 4);
  }
  static PRECIS_FUNCTION Scale scale(const Weight&, const Run& run) {
    return Scale{run.scale, 0.0f};
  }
  static PRECIS_FUNCTION float value(const Weight&, float level, Scale scale) {
    return level * scale.scale;
  }
  static PRECIS_FUNCTION Rounding rounding(const Weight& weight) { return weight.rounding; }
  static constexpr bool kShifted = false;
  static PRECIS_FUNCTION float factor(Scale scale) { return scale.scale; }
};

}  // namespace precis::kernels::PRECIS_DEVICE
