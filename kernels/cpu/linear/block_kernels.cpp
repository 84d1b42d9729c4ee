// Matrix-matrix products: a block of rows of the weight is decoded into the
// second-level cache and multiplied there by all panels of activations. Sums of
// a tile stay in registers; bound by the multiplying instruction. Compiled once
// for each instruction set.
#include <algorithm>

#include "kernels/cpu/linear/entry_points.h"
#include "kernels/cpu/linear/multiply_block.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {
namespace {

// A decoded block: rows of kTileStride bytes.
template <typename Dot>
const typename Dot::Weight* tile_row(const std::byte* tile, uint64_t row) {
  return reinterpret_cast<const typename Dot::Weight*>(tile + row * kTileStride);
}

// Where sums of a tile go: onto those of the block, or to a tile of their own.
enum class Target { block, tile };

// sums[kRows][kVectors] += weight rows . panel over `columns`, a multiple of
// kColumnPad; a tile of their own is written over. Inlined, sums would be kept
// in memory between calls.
template <typename Dot, int kRows, int kVectors, Target kTarget = Target::block>
[[gnu::noinline]] void multiply_tile(const std::byte* tile, const std::byte* panel,
                                     uint64_t columns, std::byte* sums_at) {
  using Sums = typename Dot::Sums;
  constexpr uint64_t kStride =
      kTarget == Target::block ? kSumsBytesStride : kVectors * sizeof(Sums);
  Sums sums[kRows][kVectors];
#pragma GCC unroll 24
  for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector) {
      sums[row][vector] = Sums{};
      if constexpr (kTarget == Target::block)
        sums[row][vector] =
            load<Sums>(sums_at + static_cast<uint64_t>(row) * kStride + vector * sizeof(Sums));
    }
  const auto* weight = tile_row<Dot>(tile, 0);
  constexpr uint64_t kRowElements = kTileStride / sizeof(typename Dot::Weight);
  for (uint64_t column = 0; column < columns; column += Dot::kGroup) {
    Ints x[kVectors];
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector)
      x[vector] = load<Ints>(panel + vector * sizeof(Ints));
    panel += kVectors * sizeof(Ints);
#pragma GCC unroll 24
    for (int row = 0; row < kRows; ++row) {
      const Ints word = Dot::word(weight + static_cast<uint64_t>(row) * kRowElements + column);
#pragma GCC unroll 4
      for (int vector = 0; vector < kVectors; ++vector)
        Dot::add(sums[row][vector], word, x[vector]);
    }
  }
#pragma GCC unroll 24
  for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector)
      store(sums_at + static_cast<uint64_t>(row) * kStride + vector * sizeof(Sums),
            sums[row][vector]);
}

// The scales of a tile and of a panel, from one strip on.
struct BlockScales {
  const float *weight, *minimums;  // [kRows][kScaleStride]
  const float *x, *x_sums;         // [block][x_stride]
  const int32_t* x_offsets;
  uint64_t x_stride, blocks;
};

// The same over blocks of kBlock columns with scales; sums are float32. Half as
// many rows: dots of a block and sums stay in registers side by side.
template <int kRows, int kVectors, uint64_t kBlock, bool kMinimums>
void multiply_blocks_tile(const std::byte* tile, const std::byte* panel, const BlockScales& scales,
                          std::byte* sums_at) {
  using Dot = DotBytes;
  const auto* weight = tile_row<Dot>(tile, 0);
  constexpr uint64_t kRowElements = kTileStride / sizeof(typename Dot::Weight);
  const auto sum_at = [&](int row, int vector) {
    return sums_at + static_cast<uint64_t>(row) * kSumsBytesStride +
           static_cast<uint64_t>(vector) * sizeof(Floats);
  };
  Floats sums[kRows][kVectors];
#pragma GCC unroll 24
  for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector)
      sums[row][vector] = load<Floats>(sum_at(row, vector));
  for (uint64_t block = 0; block < scales.blocks; ++block) {
    Ints dots[kRows][kVectors];
    const int32_t* offsets = scales.x_offsets + block * scales.x_stride;
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector) {
      const Ints offset = load<Ints>(offsets + vector * kWidth);
#pragma GCC unroll 24
      for (int row = 0; row < kRows; ++row) dots[row][vector] = offset;
    }
#pragma GCC unroll 8  // a loop would move all sums to other registers behind it
    for (uint64_t column = 0; column < kBlock; column += Dot::kGroup) {
      Ints x[kVectors];
#pragma GCC unroll 4
      for (int vector = 0; vector < kVectors; ++vector)
        x[vector] = load<Ints>(panel + vector * sizeof(Ints));
      panel += kVectors * sizeof(Ints);
#pragma GCC unroll 24
      for (int row = 0; row < kRows; ++row) {
        const Ints word = Dot::word(weight + static_cast<uint64_t>(row) * kRowElements + column);
#pragma GCC unroll 4
        for (int vector = 0; vector < kVectors; ++vector)
          Dot::add(dots[row][vector], word, x[vector]);
      }
    }
    weight += kBlock;
    const uint64_t x_at = block * scales.x_stride;
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector) {
      const Floats x_scale = load<Floats>(scales.x + x_at + vector * kWidth);
      Floats x_sum{};
      if constexpr (kMinimums) x_sum = load<Floats>(scales.x_sums + x_at + vector * kWidth);
#pragma GCC unroll 24
      for (int row = 0; row < kRows; ++row) {
        const uint64_t at = static_cast<uint64_t>(row) * kScaleStride + block;
        const Floats factor = broadcast(scales.weight[at]) * x_scale;
        Floats& sum = sums[row][vector];
        sum = multiply_add(to_floats(dots[row][vector]), factor, sum);
        if constexpr (kMinimums) sum = multiply_add(broadcast(scales.minimums[at]), x_sum, sum);
      }
    }
  }
#pragma GCC unroll 24
  for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
    for (int vector = 0; vector < kVectors; ++vector) store(sum_at(row, vector), sums[row][vector]);
}

#if defined(PRECIS_DOT_OF_BFLOAT16)
// The same over groups of `group` columns of bfloat16 numbers; scales.blocks
// counts groups, of which the last may end early.
template <int kRows, int kVectors>
void multiply_groups_tile(const std::byte* tile, const std::byte* panel, uint64_t columns,
                          uint64_t group, const BlockScales& scales, std::byte* sums_at) {
  constexpr uint64_t kWeightBytes = sizeof(DotBFloat16::Weight);
  constexpr uint64_t kWordBytes = kVectors * sizeof(Ints) / DotBFloat16::kGroup;
  for (uint64_t block = 0; block < scales.blocks; ++block) {
    const uint64_t begin = block * group, count = std::min(columns - begin, group);
    Floats dots[kRows][kVectors];
    multiply_tile<DotBFloat16, kRows, kVectors, Target::tile>(tile + begin * kWeightBytes,
                                                              panel + begin * kWordBytes, count,
                                                              reinterpret_cast<std::byte*>(dots));
    const float* x_scales = scales.x + block * scales.x_stride;
    for (int row = 0; row < kRows; ++row) {
      const Floats scale =
          broadcast(scales.weight[static_cast<uint64_t>(row) * kScaleStride + block]);
#pragma GCC unroll 4
      for (int vector = 0; vector < kVectors; ++vector) {
        std::byte* sum_at = sums_at + static_cast<uint64_t>(row) * kSumsBytesStride +
                            static_cast<uint64_t>(vector) * sizeof(Floats);
        const Floats factor = scale * load<Floats>(x_scales + vector * kWidth);
        store(sum_at, multiply_add(dots[row][vector], factor, load<Floats>(sum_at)));
      }
    }
  }
}
#endif

// Calls body(integral_constant<vectors>, integral_constant<rows>) with the
// tile's shape for a panel of `vectors`.
template <typename Body>
void with_shape(uint64_t vectors, Body&& body) {
  const auto call = [&](auto count) {
    body(count, std::integral_constant<int, kSums / decltype(count)::value>{});
  };
  switch (vectors) {
    case 1:
      return call(std::integral_constant<int, 1>{});
    case 2:
      return call(std::integral_constant<int, 2>{});
    case 3:
      if constexpr (kPanelVectors == 4) return call(std::integral_constant<int, 3>{});
      return;
    default:
      if constexpr (kPanelVectors == 4) return call(std::integral_constant<int, 4>{});
  }
}

// Sums in vector registers; multiply_block.h has the contracts.
struct VectorStrips {
  static constexpr uint64_t kRowPad = kSums;
  static constexpr bool kHasFloat32 = true;

  template <typename Dot>
  static void multiply(const PreparedActivations& x, const Block& block, uint64_t begin,
                       uint64_t columns) {
    for_panels(block, [&](uint64_t first, uint64_t vectors, std::byte* sums) {
      const auto* panel = static_cast<const std::byte*>(x.words) +
                          (first * x.columns + begin * vectors * kWidth) * sizeof(typename Dot::X);
      with_shape(vectors, [&](auto vectors_at_once, auto rows_at_once) {
        constexpr int kVectors = decltype(vectors_at_once)::value;
        constexpr int kRows = decltype(rows_at_once)::value;
        for (uint64_t row = 0; row < block.padded_rows; row += kRows) {
          multiply_tile<Dot, kRows, kVectors>(block.tile + row * kTileStride, panel, columns,
                                              sums + row * kSumsStride * sizeof(float));
        }
      });
    });
  }

  template <uint64_t kBlock, bool kMinimums>
  static void multiply_blocks(const PreparedActivations& x, const Block& block, uint64_t begin,
                              uint64_t columns) {
    for_panels(block, [&](uint64_t first, uint64_t vectors, std::byte* sums) {
      const auto* panel = static_cast<const std::byte*>(x.words) +
                          (first * x.columns + begin * vectors * kWidth) * sizeof(DotBytes::X);
      const uint64_t x_at = begin / kBlock * x.padded_rows + first;
      with_shape(vectors, [&](auto vectors_at_once, auto rows_at_once) {
        constexpr int kVectors = decltype(vectors_at_once)::value;
        constexpr int kRows = decltype(rows_at_once)::value / 2;
        for (uint64_t row = 0; row < block.padded_rows; row += kRows) {
          const BlockScales scales{block.scales + row * kScaleStride,
                                   block.minimums + row * kScaleStride,
                                   x.scales + x_at,
                                   x.sums + x_at,
                                   x.offsets + x_at,
                                   x.padded_rows,
                                   columns / kBlock};
          multiply_blocks_tile<kRows, kVectors, kBlock, kMinimums>(
              block.tile + row * kTileStride, panel, scales,
              sums + row * kSumsStride * sizeof(float));
        }
      });
    });
  }

#if defined(PRECIS_DOT_OF_BFLOAT16)
  static void multiply_groups(const PreparedActivations& x, const Block& block, uint64_t group,
                              uint64_t begin, uint64_t columns) {
    for_panels(block, [&](uint64_t first, uint64_t vectors, std::byte* sums) {
      const auto* panel =
          static_cast<const std::byte*>(x.words) +
          (first * x.columns + begin * vectors * kWidth) * sizeof(DotBFloat16::Weight);
      with_shape(vectors, [&](auto vectors_at_once, auto rows_at_once) {
        constexpr int kVectors = decltype(vectors_at_once)::value;
        constexpr int kRows = decltype(rows_at_once)::value;
        for (uint64_t row = 0; row < block.padded_rows; row += kRows) {
          const BlockScales scales{block.scales + row * kScaleStride,
                                   nullptr,
                                   x.scales + begin / group * x.padded_rows + first,
                                   nullptr,
                                   nullptr,
                                   x.padded_rows,
                                   (columns + group - 1) / group};
          multiply_groups_tile<kRows, kVectors>(block.tile + row * kTileStride, panel, columns,
                                                group, scales,
                                                sums + row * kSumsStride * sizeof(float));
        }
      });
    });
  }
#endif
};

}  // namespace

void multiply_block(const LinearWeight& weight, const PreparedActivations& x, uint64_t begin,
                    uint64_t end, uint64_t x_begin, uint64_t x_end, const LinearOutput& y,
                    std::byte* scratch) {
  VectorStrips strips;
  multiply_block(strips, weight, x, begin, end, x_begin, x_end, y, scratch);
}

}  // namespace linear

const ProductStages& vector_stages() {
  static constexpr ProductStages stages{
      linear::kWidth,  linear::kPanelRows,   sizeof(linear::DotBytes::X), linear::find_outliers,
      linear::prepare, linear::multiply_few, linear::multiply_block};
  return stages;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
