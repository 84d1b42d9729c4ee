// The tile registers of Intel's AMX as LDTILECFG configures them.
#pragma once

#include <cstdint>

namespace precis::kernels {

// The operand of LDTILECFG in palette 1, the only one there is.
struct alignas(64) TileConfig {
  static constexpr int kTiles = 8;
  static constexpr uint64_t kRows = 16, kRowBytes = 64;  // of a tile, at most

  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  // A tile that is used has at least one row and 4 bytes of each.
  void set(int tile, uint64_t tile_rows, uint64_t tile_row_bytes) {
    rows[tile] = static_cast<uint8_t>(tile_rows);
    row_bytes[tile] = static_cast<uint16_t>(tile_row_bytes);
  }
};
static_assert(sizeof(TileConfig) == 64);

}  // namespace precis::kernels
