// What HardwareTiles does, bit for bit, as the "Intel 64 and IA-32 Architectures Software
// Developer's Manual" defines the instructions. It says what a processor's results are compared
// with, and carries the tests of the kernels where there is no such processor. x86-64 only.
#pragma once

#include <array>
#include <cstdint>

#include "kernels/cpu/common/tile_config.h"

namespace precis::kernels {

// Throws std::logic_error where the processor would fault. dpbf16ps needs a processor with FMA.
class SoftwareTiles {
 public:
  explicit SoftwareTiles(const TileConfig& config);

  template <int kTile>
  void zero() {
    zero(kTile);
  }
  template <int kTile>
  void load(const void* from, uint64_t stride) {
    load(kTile, from, stride);
  }
  template <int kTile>
  void store(void* to, uint64_t stride) const {
    store(kTile, to, stride);
  }
  template <int kTo, int kA, int kB>
  void dpbusd() {
    dpbusd(kTo, kA, kB);
  }
  template <int kTo, int kA, int kB>
  void dpbf16ps() {
    dpbf16ps(kTo, kA, kB);
  }

  void zero(int tile);
  void load(int tile, const void* from, uint64_t stride);
  void store(int tile, void* to, uint64_t stride) const;
  void dpbusd(int to, int a, int b);
  void dpbf16ps(int to, int a, int b);

 private:
  struct Tile {
    uint64_t rows, row_bytes;
    std::array<std::array<uint8_t, TileConfig::kRowBytes>, TileConfig::kRows> bytes;
  };
  const Tile& configured(const char* instruction, int tile) const;
  Tile& configured(const char* instruction, int tile);
  void check_product(const char* instruction, int to, int a, int b) const;

  Tile tiles_[TileConfig::kTiles] = {};
};

}  // namespace precis::kernels
