// Two by two AMX tiles of sums, or two by one, and the tiles that are multiplied onto them.
//
// A tile of sums has 16 rows of the weight and 16 of the activations, side by side. Rows of a
// decoded block are tiles of the left side as they lie, words of a panel tiles of the right side:
// nothing is packed anew. Two by two take 4 loads for 4 products.
//
// Tiles: HardwareTiles or SoftwareTiles.
#pragma once

#include <type_traits>

#include "kernels/cpu/common/tile_config.h"
#include "kernels/cpu/linear/dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {

// Rows of the weight and words of a panel from the same column on.
struct TileOperands {
  const std::byte* weight;
  uint64_t weight_stride;  // from row to row
  const std::byte* panel;
  uint64_t panel_stride;  // from word to word
};

// kAcross: tiles of activations side by side, 1 or 2.
template <typename Tiles>
class SumTiles {
 public:
  static constexpr uint64_t kRows = 2 * TileConfig::kRows;         // of the weight
  static constexpr uint64_t kColumnBytes = TileConfig::kRowBytes;  // of sums, from tile to tile

  // depth: bytes of a row of the weight that one instruction multiplies.
  explicit SumTiles(uint64_t depth) : tiles_(config(depth)), depth_(depth) {}

  template <int kAcross>
  void zero() {
    tiles_.template zero<0>();
    tiles_.template zero<2>();
    if constexpr (kAcross == 1) return;
    tiles_.template zero<1>();
    tiles_.template zero<3>();
  }
  template <int kAcross>
  void load(const std::byte* from, uint64_t stride) {
    const std::byte* below = from + TileConfig::kRows * stride;
    tiles_.template load<0>(from, stride);
    tiles_.template load<2>(below, stride);
    if constexpr (kAcross == 1) return;
    tiles_.template load<1>(from + kColumnBytes, stride);
    tiles_.template load<3>(below + kColumnBytes, stride);
  }
  template <int kAcross>
  void store(std::byte* to, uint64_t stride) const {
    std::byte* below = to + TileConfig::kRows * stride;
    tiles_.template store<0>(to, stride);
    tiles_.template store<2>(below, stride);
    if constexpr (kAcross == 1) return;
    tiles_.template store<1>(to + kColumnBytes, stride);
    tiles_.template store<3>(below + kColumnBytes, stride);
  }

  // Adds the products of bytes [begin, end) of the rows, a multiple of the depth.
  template <typename Dot, int kAcross>
  void add_products(const TileOperands& of, uint64_t begin, uint64_t end) {
    static_assert(sizeof(typename Dot::Weight) == sizeof(typename Dot::X));
    for (uint64_t at = begin; at < end; at += depth_) {
      const std::byte* weight = of.weight + at;
      const std::byte* panel = of.panel + at / sizeof(int32_t) * of.panel_stride;
      tiles_.template load<4>(weight, of.weight_stride);
      tiles_.template load<6>(panel, of.panel_stride);
      add_product<Dot, 0, 4, 6>();
      tiles_.template load<5>(weight + TileConfig::kRows * of.weight_stride, of.weight_stride);
      add_product<Dot, 2, 5, 6>();
      if constexpr (kAcross == 1) continue;
      tiles_.template load<7>(panel + kColumnBytes, of.panel_stride);
      add_product<Dot, 1, 4, 7>();
      add_product<Dot, 3, 5, 7>();
    }
  }

 private:
  // Sums 0 to 3, two rows of two; rows of the weight 4 and 5; of the activations 6 and 7.
  static TileConfig config(uint64_t depth) {
    TileConfig config;
    for (const int sums : {0, 1, 2, 3}) config.set(sums, TileConfig::kRows, TileConfig::kRowBytes);
    for (const int weight : {4, 5}) config.set(weight, TileConfig::kRows, depth);
    for (const int x : {6, 7}) config.set(x, depth / sizeof(int32_t), TileConfig::kRowBytes);
    return config;
  }

  template <typename Dot, int kSums, int kWeight, int kX>
  void add_product() {
    if constexpr (std::is_same_v<Dot, DotBytes>)
      tiles_.template dpbusd<kSums, kWeight, kX>();
    else
      tiles_.template dpbf16ps<kSums, kWeight, kX>();
  }

  Tiles tiles_;
  uint64_t depth_;
};

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
