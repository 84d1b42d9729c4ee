// ProductStages::multiply_block over the ways to multiply a decoded strip of a block by all panels.
//
// Strips has, for columns [begin, begin + columns) that block.tile holds:
//   multiply<Dot>: onto sums of Dot's kind;
//   multiply_blocks<kBlock, kMinimums>: int8_blocks, by blocks with scales, onto sums in float32;
//   multiply_groups: bfloat16_groups, likewise.
// Strips::kHasFloat32: whether multiply<DotFloat32> is among them.
// Strips::kRowPad: a block is filled up with rows of zeros to a multiple of it.
#pragma once

#include <type_traits>

#include "kernels/cpu/linear/block.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {

template <typename Dot, typename Strips>
void multiply_floats(Strips& strips, const LinearWeight& weight, const PreparedActivations& x,
                     const Block& block, uint64_t first_row) {
  using Element = typename Dot::Weight;
  constexpr uint64_t kColumns = kTileColumns<Element>;
  for (uint64_t begin = 0; begin < weight.in_features; begin += kColumns) {
    const uint64_t end = std::min(weight.in_features, begin + kColumns);
    if (weight.decode_rows != nullptr) {
      weight.decode_rows(weight.format, first_row, block.rows, begin, end, block.tile,
                         kTileStride / sizeof(Element));
      pad_tile<Element>(block, begin, end);
    } else {
      fill_tile<Element>(block, begin, end, [&](uint64_t row, Element* out) {
        for (uint64_t i = begin; i < end; i += kStrip) {
          weight.decode_floats(weight.format, first_row + row, i, std::min(end, i + kStrip),
                               out + (i - begin));
        }
      });
    }
    strips.template multiply<Dot>(x, block, begin, round_up(end - begin, kColumnPad));
  }
  if (weight.row_scales == nullptr) return;
  for (uint64_t row = 0; row < block.rows; ++row) {
    auto* sums = reinterpret_cast<float*>(block.sums) + row * kSumsStride;
    const float scale = weight.row_scales[first_row + row];
    for (uint64_t i = 0; i < block.x_padded_end - block.x_begin; ++i) sums[i] *= scale;
  }
}

#if defined(PRECIS_DOT_OF_BFLOAT16)
template <typename Strips>
void multiply_bfloat16_groups(Strips& strips, const LinearWeight& weight,
                              const PreparedActivations& x, const Block& block,
                              uint64_t first_row) {
  constexpr uint64_t kColumns = kTileColumns<uint16_t>;
  for (uint64_t begin = 0; begin < weight.in_features; begin += kColumns) {
    const uint64_t end = std::min(weight.in_features, begin + kColumns);
    fill_tile<uint16_t>(block, begin, end, [&](uint64_t row, uint16_t* out) {
      for (uint64_t i = begin; i < end; i += kStrip) {
        weight.decode_groups(weight.format, first_row + row, i, std::min(end, i + kStrip),
                             out + (i - begin),
                             block.scales + row * kScaleStride + (i - begin) / weight.group);
      }
    });
    const uint64_t groups = (end - begin + weight.group - 1) / weight.group;
    fill_scales(weight, block, groups, groups);
    strips.multiply_groups(x, block, weight.group, begin, round_up(end - begin, kColumnPad));
  }
}
#endif

template <typename Strips>
void multiply_int8_rows(Strips& strips, const LinearWeight& weight, const PreparedActivations& x,
                        const Block& block, uint64_t first_row) {
  for (uint64_t row = 0; row < block.padded_rows; ++row) {
    std::copy(x.offsets + block.x_begin, x.offsets + block.x_padded_end,
              reinterpret_cast<int32_t*>(block.sums) + row * kSumsStride);
  }
  using Element = DotBytes::Weight;
  constexpr uint64_t kColumns = kTileColumns<Element>;
  for (uint64_t begin = 0; begin < weight.in_features; begin += kColumns) {
    const uint64_t end = std::min(weight.in_features, begin + kColumns);
    fill_tile<Element>(block, begin, end, [&](uint64_t row, Element* out) {
      const int8_t* codes = weight.codes + (first_row + row) * weight.in_features;
      for (uint64_t i = begin; i < end; ++i)
        out[i - begin] = static_cast<Element>(static_cast<int8_t>(codes[i] ^ DotBytes::kFlip));
    });
    strips.template multiply<DotBytes>(x, block, begin, round_up(end - begin, kColumnPad));
  }
  for (uint64_t row = 0; row < block.rows; ++row) {
    float* sums = reinterpret_cast<float*>(block.sums) + row * kSumsStride;
    const float scale = weight.scb[first_row + row], factor = sum_factor(weight);
    for (uint64_t i = 0; i < block.x_padded_end - block.x_begin; ++i) {
      int32_t sum;
      std::memcpy(&sum, sums + i, sizeof sum);
      sums[i] = static_cast<float>(sum) * (x.scales[block.x_begin + i] * scale) * factor;
    }
  }
}

inline void add_outliers(const LinearWeight& weight, const PreparedActivations& x,
                         const Block& block, uint64_t first_row, uint64_t x_end) {
  float values[kTurnRows];
  for (uint64_t j = 0; j < x.outlier_count; ++j) {
    const uint32_t column = x.outliers[j];
    for (uint64_t i = block.x_begin; i < x_end; ++i)
      values[i - block.x_begin] = activation_at(x.source, i, column);
    for (uint64_t row = 0; row < block.rows; ++row) {
      float* sums = reinterpret_cast<float*>(block.sums) + row * kSumsStride;
      const float factor = outlier_weight(weight, x.source.type, first_row + row, column);
      for (uint64_t i = 0; i < x_end - block.x_begin; ++i) sums[i] += factor * values[i];
    }
  }
}

template <uint64_t kBlock, typename Strips>
void multiply_int8_blocks(Strips& strips, const LinearWeight& weight, const PreparedActivations& x,
                          const Block& block, uint64_t first_row) {
  for (uint64_t begin = 0; begin < weight.in_features; begin += kStrip) {
    const uint64_t end = std::min(weight.in_features, begin + kStrip);
    const uint64_t columns = round_up(end - begin, kColumnPad);
    fill_tile<DotBytes::Weight>(block, begin, end, [&](uint64_t row, DotBytes::Weight* out) {
      const auto decode = [&](uint8_t* codes) {
        weight.decode_codes(weight.format, first_row + row, begin, end, codes,
                            block.scales + row * kScaleStride, block.minimums + row * kScaleStride);
        make_bytes(weight.offset, codes, end - begin);
      };
      if constexpr (std::is_same_v<DotBytes::Weight, uint8_t>) {
        decode(out);
      } else {
        uint8_t codes[kStrip];
        decode(codes);
        std::copy_n(codes, end - begin, out);
      }
    });
    fill_scales(weight, block, (end - begin) / kBlock, columns / kBlock);
    if (weight.minimums)
      strips.template multiply_blocks<kBlock, true>(x, block, begin, columns);
    else
      strips.template multiply_blocks<kBlock, false>(x, block, begin, columns);
  }
}

template <typename Strips>
void multiply_block(Strips& strips, const LinearWeight& weight, const PreparedActivations& x,
                    uint64_t begin, uint64_t end, uint64_t x_begin, uint64_t x_end,
                    const LinearOutput& y, std::byte* scratch) {
  auto* scales = reinterpret_cast<float*>(scratch + kTileBytes);
  const Block block{end - begin,
                    round_up(end - begin, Strips::kRowPad),
                    x_begin,
                    round_up(x_end, kWidth),
                    scratch,
                    scales,
                    scales + kBlockRows * kScaleStride,
                    scratch + kTileBytes + kScaleBytes};
  std::fill_n(reinterpret_cast<float*>(block.sums), block.padded_rows * kSumsStride, 0.0f);
  switch (weight.arithmetic) {
    case Arithmetic::bfloat16:
#if defined(PRECIS_DOT_OF_BFLOAT16)
      multiply_floats<DotBFloat16>(strips, weight, x, block, begin);
      break;
#endif
    case Arithmetic::float32:
      if constexpr (Strips::kHasFloat32)
        multiply_floats<DotFloat32>(strips, weight, x, block, begin);
      break;
    case Arithmetic::bfloat16_groups:
#if defined(PRECIS_DOT_OF_BFLOAT16)
      multiply_bfloat16_groups(strips, weight, x, block, begin);
#endif
      break;
    case Arithmetic::int8_rows:
      multiply_int8_rows(strips, weight, x, block, begin);
      add_outliers(weight, x, block, begin, x_end);
      break;
    case Arithmetic::int8_blocks:
      if (weight.block == 32)
        multiply_int8_blocks<32>(strips, weight, x, block, begin);
      else
        multiply_int8_blocks<16>(strips, weight, x, block, begin);
      break;
  }
  write_block(x, block, begin, x_end, y);
}

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
