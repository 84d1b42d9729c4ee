// Narrow numbers, scales and zero points one by one: kernels/cpu/scaled/scaled.h has the formats.
#pragma once

#include <bit>

#include "kernels/cpu/scaled/scaled.h"
#include "kernels/device/float8_numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

// A side of tiles; shift: 32 where the size is no power of two, 31 where a tile covers all.
struct TileSide {
  uint32_t size, shift;
};
inline TileSide tile_side(uint64_t size, uint64_t extent) {
  if (size >= extent) return {1, 31};
  const auto narrow = static_cast<uint32_t>(size);
  return {narrow,
          std::has_single_bit(narrow) ? static_cast<uint32_t>(std::countr_zero(narrow)) : 32};
}
PRECIS_FUNCTION uint32_t tile_at(TileSide side, uint32_t place) {
  return side.shift < 32 ? place >> side.shift : place / side.size;
}

struct ScaledKernelWeight {
  uint32_t rows, columns;
  NarrowType type;
  uint32_t bits;
  bool padded;
  uint64_t row_bytes;  // of a row, or of a pair of rows
  const uint8_t* codes;
  ScaleType scale_type;
  const void* scales;
  TileSide tile_rows, tile_columns;
  uint32_t tiles_per_row;
  float divisor, factor;
  ZeroType zero_type;
  const void* zeros;
  const int32_t* tile_of;  // of each column, or null
  Rounding rounding;
};

// The code of an element, however it is stored.
PRECIS_FUNCTION uint32_t narrow_code(const ScaledKernelWeight& w, uint32_t row, uint32_t column) {
  const bool pairs = w.type == NarrowType::int4_row_pairs;
  const uint8_t* from = w.codes + uint64_t{pairs ? row / 2 : row} * w.row_bytes;
  const auto word = [&](uint32_t i) { return reinterpret_cast<const uint32_t*>(from)[i]; };
  if (pairs) return from[column] >> (row % 2 * 4) & 15u;
  if (w.type == NarrowType::float4_e2m1) return from[column / 2] >> (column % 2 * 4) & 15u;
  if (w.type == NarrowType::float6_e2m3) {
    const uint8_t* four = from + column / 4 * 3;
    const uint32_t bits =
        four[0] | static_cast<uint32_t>(four[1]) << 8 | static_cast<uint32_t>(four[2]) << 16;
    return bits >> (column % 4 * 6) & 63u;
  }
  if (w.type != NarrowType::packed_int) return from[column];
  const uint32_t mask = (1u << w.bits) - 1;
  if (w.padded) {
    const uint32_t each = 32 / w.bits;
    return word(column / each) >> (column % each * w.bits) & mask;
  }
  const uint32_t first = column / 32 * w.bits, position = column % 32 * w.bits;
  uint32_t code = word(first + position / 32) >> (position % 32);
  if (position % 32 + w.bits > 32) code |= word(first + position / 32 + 1) << (32 - position % 32);
  return code & mask;
}

// What a code stands for. A float's magnitude is that of a float16 times a power of two.
PRECIS_FUNCTION float narrow_number(NarrowType type, uint32_t bits, uint32_t code) {
  switch (type) {
    case NarrowType::packed_int:
      return static_cast<float>(static_cast<int>(code) - (1 << (bits - 1)));
    case NarrowType::int8:
      return static_cast<float>(static_cast<int8_t>(code));
    case NarrowType::float8_e4m3fn:
      return e4m3fn_value(code);
    case NarrowType::float6_e2m3:
      return half_value(static_cast<uint16_t>((code & 32u) << 10 | (code & 31u) << 7)) * 0x1p14f;
    case NarrowType::float4_e2m1:
      return half_value(static_cast<uint16_t>((code & 8u) << 12 | (code & 7u) << 9)) * 0x1p14f;
    case NarrowType::int4_row_pairs:
      break;
  }
  return static_cast<float>(static_cast<int>(code ^ 8u) - 8);
}

PRECIS_FUNCTION float scale_of_tile(const ScaledKernelWeight& w, uint64_t i) {
  float scale;
  if (w.scale_type == ScaleType::f32) {
    scale = static_cast<const float*>(w.scales)[i];
  } else if (w.scale_type == ScaleType::f16) {
    scale = half_value(static_cast<const uint16_t*>(w.scales)[i]);
  } else if (w.scale_type == ScaleType::bf16) {
    scale = to_float(BFloat16{static_cast<const uint16_t*>(w.scales)[i]});
  } else {
    const uint32_t code = static_cast<const uint8_t*>(w.scales)[i];
    // 255 is infinite, as the Python libraries compute it.
    const uint32_t power = code == 0 ? 0x00400000u : code << 23;
    scale = w.scale_type == ScaleType::e8m0 ? bits_as<float>(power) : e4m3fn_value(code);
  }
  if (w.divisor != 1.0f) scale = scale / w.divisor;
  return scale * w.factor;
}

PRECIS_FUNCTION float zero_of_tile(const ScaledKernelWeight& w, uint32_t tile_row, uint32_t tile) {
  if (w.zero_type == ZeroType::none) return 0.0f;
  if (w.zero_type == ZeroType::int8)
    return static_cast<const int8_t*>(w.zeros)[uint64_t{tile_row} * w.tiles_per_row + tile];
  const auto word = [&](uint32_t i) {
    return static_cast<const uint32_t*>(w.zeros)[uint64_t{i} * w.tiles_per_row + tile];
  };
  const uint32_t each = w.padded ? 32 / w.bits : 0;
  const uint32_t at = w.padded ? tile_row / each : tile_row * w.bits / 32;
  const uint32_t bit = w.padded ? tile_row % each * w.bits : tile_row * w.bits % 32;
  uint32_t code = word(at) >> bit;
  if (bit + w.bits > 32) code |= word(at + 1) << (32 - bit);
  return static_cast<float>(static_cast<int>(code & ((1u << w.bits) - 1)) - (1 << (w.bits - 1)));
}

}  // namespace precis::kernels::PRECIS_DEVICE
