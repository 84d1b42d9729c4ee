// Strips of a block multiplied by AMX tiles; multiply_block.h has the contracts.
//
// The part of a strip that is multiplied at once is so deep that its rows of the weight stay in the
// first-level cache while all panels pass.
#pragma once

#include "kernels/cpu/linear/block.h"
#include "kernels/cpu/linear/sum_tiles.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {

template <typename Tiles>
class TileStrips {
 public:
  static constexpr uint64_t kRowPad = SumTiles<Tiles>::kRows;
  static constexpr bool kHasFloat32 = false;

  // depth: bytes of a row of the weight that one instruction multiplies.
  explicit TileStrips(uint64_t depth) : tiles_(depth) {}

  template <typename Dot>
  void multiply(const PreparedActivations& x, const Block& block, uint64_t begin,
                uint64_t columns) {
    const uint64_t bytes = columns * sizeof(typename Dot::Weight);
    for (uint64_t first = 0; first < bytes; first += kDepthAtOnce) {
      const uint64_t last = std::min(bytes, first + kDepthAtOnce);
      for_sums<Dot>(x, block, begin, [&](const Place& place, auto across) {
        constexpr int kAcross = decltype(across)::value;
        tiles_.template load<kAcross>(place.sums, kSumsBytesStride);
        tiles_.template add_products<Dot, kAcross>(place.operands, first, last);
        tiles_.template store<kAcross>(place.sums, kSumsBytesStride);
      });
    }
  }

  template <uint64_t kBlock, bool kMinimums>
  void multiply_blocks(const PreparedActivations& x, const Block& block, uint64_t begin,
                       uint64_t columns) {
    const uint64_t x_at = begin / kBlock * x.padded_rows;
    multiply_scaled<DotBytes, kMinimums>(
        x, block, begin, columns,
        {kBlock, x.padded_rows, x.scales + x_at, x.sums + x_at, x.offsets + x_at});
  }

  void multiply_groups(const PreparedActivations& x, const Block& block, uint64_t group,
                       uint64_t begin, uint64_t columns) {
    multiply_scaled<DotBFloat16, false>(
        x, block, begin, columns,
        {group, x.padded_rows, x.scales + begin / group * x.padded_rows, nullptr, nullptr});
  }

 private:
  static_assert(kWidth * sizeof(float) == SumTiles<Tiles>::kColumnBytes);
  static_assert(kBlockRows % kRowPad == 0);
  static constexpr uint64_t kDepthAtOnce = 1024;  // bytes of a row of the weight

  // Those of the activations from the start of a strip on: [block][row].
  struct Scales {
    uint64_t columns;   // that share one
    uint64_t x_stride;  // from block to block
    const float *x, *x_sums;
    const int32_t* x_offsets;
  };

  // Tiles of sums of a block and what is multiplied onto them.
  struct Place {
    uint64_t row, x_row;  // the first of each side
    TileOperands operands;
    std::byte* sums;
  };

  // Calls body(place, integral_constant<tiles of activations>).
  template <typename Dot, typename Body>
  static void for_sums(const PreparedActivations& x, const Block& block, uint64_t begin,
                       Body&& body) {
    for (uint64_t row = 0; row < block.padded_rows; row += kRowPad) {
      for_panels(block, [&](uint64_t first, uint64_t vectors, std::byte* sums) {
        const auto* panel =
            static_cast<const std::byte*>(x.words) +
            (first * x.columns + begin * vectors * kWidth) * sizeof(typename Dot::X);
        for (uint64_t vector = 0; vector < vectors; vector += 2) {
          const uint64_t at = vector * sizeof(Floats);
          const Place place{
              row,
              first + vector * kWidth,
              {block.tile + row * kTileStride, kTileStride, panel + at, vectors * sizeof(Floats)},
              sums + row * kSumsBytesStride + at};
          if (vector + 1 < vectors)
            body(place, std::integral_constant<int, 2>());
          else
            body(place, std::integral_constant<int, 1>());
        }
      });
    }
  }

  // While the tiles multiply a block, the vector units scale the dots of the one before.
  template <typename Dot, bool kMinimums>
  void multiply_scaled(const PreparedActivations& x, const Block& block, uint64_t begin,
                       uint64_t columns, const Scales& scales) {
    const uint64_t bytes = columns * sizeof(typename Dot::Weight);
    const uint64_t block_bytes = scales.columns * sizeof(typename Dot::Weight);
    const uint64_t blocks = (bytes + block_bytes - 1) / block_bytes;
    const uint64_t at_once = std::max<uint64_t>(1, kDepthAtOnce / block_bytes);
    for (uint64_t first = 0; first < blocks; first += at_once) {
      const uint64_t last = std::min(blocks, first + at_once);
      for_sums<Dot>(x, block, begin, [&](const Place& place, auto across) {
        constexpr int kAcross = decltype(across)::value;
        alignas(64) typename Dot::Sums dots[2][kRowPad][2];
        for (uint64_t i = first; i < last; ++i) {
          const uint64_t end = std::min(bytes, (i + 1) * block_bytes);
          tiles_.template zero<kAcross>();
          tiles_.template add_products<Dot, kAcross>(place.operands, i * block_bytes, end);
          tiles_.template store<kAcross>(reinterpret_cast<std::byte*>(dots[i % 2]),
                                         sizeof dots[0][0]);
          if (i > first)
            add_scaled<kMinimums, kAcross>(block, scales, place, i - 1, dots[(i - 1) % 2]);
        }
        add_scaled<kMinimums, kAcross>(block, scales, place, last - 1, dots[(last - 1) % 2]);
      });
    }
  }

  static Floats dot_of(Ints dots, Ints offset) { return to_floats(dots + offset); }
  static Floats dot_of(Floats dots, Ints) { return dots; }

  // Dots of block `index` of the strip, onto the sums.
  template <bool kMinimums, int kAcross, typename Sums>
  static void add_scaled(const Block& block, const Scales& scales, const Place& place,
                         uint64_t index, const Sums (*dots)[2]) {
    for (int tile = 0; tile < kAcross; ++tile) {
      const uint64_t x_at = index * scales.x_stride + place.x_row + tile * kWidth;
      const Floats x_scale = load<Floats>(scales.x + x_at);
      Floats x_sum{};
      if constexpr (kMinimums) x_sum = load<Floats>(scales.x_sums + x_at);
      Ints offset{};
      if constexpr (std::is_same_v<Sums, Ints>) offset = load<Ints>(scales.x_offsets + x_at);
      for (uint64_t row = 0; row < kRowPad; ++row) {
        const uint64_t at = (place.row + row) * kScaleStride + index;
        std::byte* sum_at = place.sums + row * kSumsBytesStride + tile * sizeof(Floats);
        const Floats factor = broadcast(block.scales[at]) * x_scale;
        Floats sum = multiply_add(dot_of(dots[row][tile], offset), factor, load<Floats>(sum_at));
        if constexpr (kMinimums) sum = multiply_add(broadcast(block.minimums[at]), x_sum, sum);
        store(sum_at, sum);
      }
    }
  }

  SumTiles<Tiles> tiles_;
};

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
