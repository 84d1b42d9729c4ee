// Scales as checkpoints store them: their dtypes, and where the scale of an element stands.
#pragma once

#include "kernels/device/numbers.h"
#include "kernels/device/stored_floats.h"

namespace precis::kernels::PRECIS_DEVICE {

// Dtype of stored scales. E8M0: a power of two by its biased exponent; 255 is a NaN.
enum class StoredScale : uint32_t { f32, f16, bf16, e8m0 };

PRECIS_FUNCTION float load_stored_scale(StoredScale type, const void* scales, uint64_t i) {
  if (type == StoredScale::f32) return static_cast<const float*>(scales)[i];
  if (type == StoredScale::f16) return half_value(static_cast<const uint16_t*>(scales)[i]);
  if (type == StoredScale::bf16)
    return bits_as<float>(static_cast<uint32_t>(static_cast<const uint16_t*>(scales)[i]) << 16);
  const uint32_t exponent = static_cast<const uint8_t*>(scales)[i];
  return bits_as<float>(exponent == 255 ? 0x7fc00000u
                        : exponent == 0 ? 0x00400000u
                                        : exponent << 23);
}

PRECIS_FUNCTION float load_float(const StoredFloats& floats, uint64_t i) {
  if (floats.type == WeightType::f32) return static_cast<const float*>(floats.data)[i];
  const uint32_t bits = static_cast<const uint16_t*>(floats.data)[i];
  return floats.type == WeightType::f16 ? half_value(static_cast<uint16_t>(bits))
                                        : bits_as<float>(bits << 16);
}

PRECIS_FUNCTION float round_to(WeightType type, float value) {
  return round_to(type == WeightType::f16    ? Rounding::half
                  : type == WeightType::bf16 ? Rounding::bfloat16
                                             : Rounding::none,
                  value);
}

// Scales of tiles whose sides are powers of two; a shift of 31 is a side that covers all.
struct TileScales {
  StoredScale type;
  uint32_t row_shift, column_shift, tiles_per_row;
  const void* scales;
};
PRECIS_FUNCTION uint64_t tile_of(const TileScales& tiles, uint32_t row, uint32_t column) {
  return uint64_t{row >> tiles.row_shift} * tiles.tiles_per_row + (column >> tiles.column_shift);
}
PRECIS_FUNCTION float tile_scale(const TileScales& tiles, uint32_t row, uint32_t column) {
  return load_stored_scale(tiles.type, tiles.scales, tile_of(tiles, row, column));
}

}  // namespace precis::kernels::PRECIS_DEVICE
