// Weights in float8 with one scale for each tile: kernels/cpu/fp8/fp8.h and kernels/cpu/quanto have
// the formats.
#pragma once

#include "kernels/device/float8_numbers.h"
#include "kernels/device/formats/format.h"

namespace precis::kernels::PRECIS_DEVICE {

// Dtype of stored scales. E8M0: a power of two by its biased exponent; 255 is a NaN.
enum class TileScale : uint32_t { f32, f16, bf16, e8m0 };

PRECIS_FUNCTION float load_tile_scale(TileScale type, const void* scales, uint64_t i) {
  if (type == TileScale::f32) return static_cast<const float*>(scales)[i];
  if (type == TileScale::f16) return half_value(static_cast<const uint16_t*>(scales)[i]);
  if (type == TileScale::bf16)
    return bits_as<float>(static_cast<uint32_t>(static_cast<const uint16_t*>(scales)[i]) << 16);
  const uint32_t exponent = static_cast<const uint8_t*>(scales)[i];
  return bits_as<float>(exponent == 255 ? 0x7fc00000u
                        : exponent == 0 ? 0x00400000u
                                        : exponent << 23);
}

// Scales of tiles whose sides are powers of two; a shift of 31 is a side that covers all.
struct TileScales {
  TileScale type;
  uint32_t row_shift, column_shift, tiles_per_row;
  const void* scales;
};
PRECIS_FUNCTION float tile_scale(const TileScales& tiles, uint32_t row, uint32_t column) {
  const uint64_t tile =
      uint64_t{row >> tiles.row_shift} * tiles.tiles_per_row + (column >> tiles.column_shift);
  return load_tile_scale(tiles.type, tiles.scales, tile);
}

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
