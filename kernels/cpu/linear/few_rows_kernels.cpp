// Matrix-vector products: each row of the weight is decoded once, in the first-level cache, and
// meets every row of the activations there. Bound by reading the weight from memory. Compiled once
// for each instruction set.
#include <algorithm>
#include <type_traits>

#include "kernels/cpu/linear/byte_dots.h"
#include "kernels/cpu/linear/entry_points.h"
#include "kernels/cpu/linear/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {
namespace {

// sums[i] += weight . x[i] for kRows rows of x over `count` elements, a multiple of kColumnPad. As
// many chains of sums as hide the instruction's latency.
template <typename Dot, int kRows>
[[gnu::noinline]] void add_dots(const typename Dot::Weight* weight, const typename Dot::Weight* x,
                                uint64_t x_stride, uint64_t count, Floats* sums) {
  constexpr uint64_t kStep = kWidth * Dot::kGroup;
  constexpr int kChains = kRows == 4 ? 2 : 4;
  static_assert(kColumnPad % (kStep * kChains) == 0);
  Floats chains[kRows][kChains];
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row)
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains; ++chain) chains[row][chain] = Floats{};
  for (uint64_t at = 0; at < count; at += kStep * kChains) {
    Ints words[kChains];
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains; ++chain)
      words[chain] = load<Ints>(weight + at + static_cast<uint64_t>(chain) * kStep);
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      const auto* here = x + static_cast<uint64_t>(row) * x_stride + at;
#pragma GCC unroll 4
      for (int chain = 0; chain < kChains; ++chain)
        Dot::add(chains[row][chain], words[chain],
                 load<Ints>(here + static_cast<uint64_t>(chain) * kStep));
    }
  }
#pragma GCC unroll 4
  for (int row = 0; row < kRows; ++row) {
    Floats sum = load<Floats>(sums + row);
#pragma GCC unroll 4
    for (int chain = 0; chain < kChains; ++chain) sum += chains[row][chain];
    store(sums + row, sum);
  }
}

// Calls body(integral_constant<rows>, first row) for all rows, up to 4 at once.
template <typename Body>
void for_row_groups(uint64_t rows, Body&& body) {
  uint64_t row = 0;
  for (; row + 4 <= rows; row += 4) body(std::integral_constant<int, 4>{}, row);
  for (; row + 2 <= rows; row += 2) body(std::integral_constant<int, 2>{}, row);
  if (row < rows) body(std::integral_constant<int, 1>{}, row);
}

// sums[i] += columns [begin, end), which `strip` holds, times row i of x.
template <typename Dot>
void add_strip(const PreparedActivations& x, uint64_t begin, uint64_t end,
               typename Dot::Weight* strip, Floats* sums) {
  const uint64_t count = round_up(end - begin, kColumnPad);
  std::fill(strip + (end - begin), strip + count, typename Dot::Weight{});
  const auto* words = static_cast<const typename Dot::Weight*>(x.words) + begin;
  for_row_groups(x.rows, [&](auto rows, uint64_t first) {
    add_dots<Dot, decltype(rows)::value>(strip, words + first * x.columns, x.columns, count,
                                         sums + first);
  });
}

void finish_row(const LinearWeight& weight, const PreparedActivations& x, uint64_t row,
                const Floats* sums, float* values) {
  const float scale = weight.row_scales != nullptr ? weight.row_scales[row] : 1.0f;
  for (uint64_t i = 0; i < x.rows; ++i) values[i] = sum_of(sums[i]) * scale;
}

template <typename Dot>
void float_row(const LinearWeight& weight, const PreparedActivations& x, uint64_t row,
               typename Dot::Weight* strip, float* values) {
  Floats sums[kFewRows] = {};
  for (uint64_t begin = 0; begin < weight.in_features; begin += kStrip) {
    const uint64_t end = std::min(weight.in_features, begin + kStrip);
    weight.decode_floats(weight.format, row, begin, end, strip);
    add_strip<Dot>(x, begin, end, strip, sums);
  }
  finish_row(weight, x, row, sums, values);
}

constexpr uint64_t kRowsAtOnce = 16;  // of the weight

// float_row for `count` rows, at most kRowsAtOnce, decoded together.
template <typename Dot>
void float_rows(const LinearWeight& weight, const PreparedActivations& x, uint64_t first,
                uint64_t count, std::byte* scratch, float (&values)[kRowsAtOnce][kFewRows]) {
  using Element = typename Dot::Weight;
  Floats sums[kRowsAtOnce][kFewRows] = {};
  for (uint64_t begin = 0; begin < weight.in_features; begin += kStrip) {
    const uint64_t end = std::min(weight.in_features, begin + kStrip);
    weight.decode_rows(weight.format, first, count, begin, end, scratch,
                       kTileStride / sizeof(Element));
    for (uint64_t i = 0; i < count; ++i)
      add_strip<Dot>(x, begin, end, reinterpret_cast<Element*>(scratch + i * kTileStride), sums[i]);
  }
  for (uint64_t i = 0; i < count; ++i) finish_row(weight, x, first + i, sums[i], values[i]);
}

#if defined(PRECIS_DOT_OF_BFLOAT16)
// sums[w * kFewRows + i] += factors[w * kRows + i] times weight[w] . x[i] for kWeights rows of the
// weight and kRows of x over `count` elements, a multiple of kColumnPad.
template <int kWeights, int kRows>
[[gnu::noinline]] void add_group(const uint16_t* weight, uint64_t stride, const uint16_t* x,
                                 uint64_t x_stride, uint64_t count, const float* factors,
                                 Floats* sums) {
  constexpr uint64_t kStep = kWidth * DotBFloat16::kGroup;
  // As many sums at once as hide the instruction's latency.
  constexpr int kChains = kWeights == 1 ? 2 : 1;
  Floats dots[kChains][kWeights][kRows];
#pragma GCC unroll 2
  for (int chain = 0; chain < kChains; ++chain)
#pragma GCC unroll 4
    for (int w = 0; w < kWeights; ++w)
#pragma GCC unroll 4
      for (int row = 0; row < kRows; ++row) dots[chain][w][row] = Floats{};
  for (uint64_t begin = 0; begin < count; begin += kChains * kStep) {
#pragma GCC unroll 2
    for (int chain = 0; chain < kChains; ++chain) {
      const uint64_t at = begin + static_cast<uint64_t>(chain) * kStep;
      Ints numbers[kWeights];
#pragma GCC unroll 4
      for (int w = 0; w < kWeights; ++w)
        numbers[w] = load<Ints>(weight + static_cast<uint64_t>(w) * stride + at);
#pragma GCC unroll 4
      for (int row = 0; row < kRows; ++row) {
        const Ints words = load<Ints>(x + static_cast<uint64_t>(row) * x_stride + at);
#pragma GCC unroll 4
        for (int w = 0; w < kWeights; ++w) DotBFloat16::add(dots[chain][w][row], numbers[w], words);
      }
    }
  }
#pragma GCC unroll 4
  for (int w = 0; w < kWeights; ++w) {
#pragma GCC unroll 4
    for (int row = 0; row < kRows; ++row) {
      Floats dot = dots[0][w][row];
      if constexpr (kChains == 2) dot += dots[1][w][row];
      Floats& sum = sums[static_cast<uint64_t>(w) * kFewRows + static_cast<uint64_t>(row)];
      sum = multiply_add(dot, broadcast(factors[w * kRows + row]), sum);
    }
  }
}

// kWeights rows of the weight from `row` on.
template <uint64_t kWeights>
void groups_set(const LinearWeight& weight, const PreparedActivations& x, uint64_t row,
                std::byte* scratch, float* values) {
  constexpr uint64_t kStride = kTileStride / sizeof(uint16_t);
  auto* strips = reinterpret_cast<uint16_t*>(scratch);
  float scales[kWeights][kStrip / kColumnPad];
  Floats sums[kWeights * kFewRows] = {};
  const uint64_t row_groups = scale_blocks(weight, x.columns);
  for (uint64_t begin = 0; begin < weight.in_features; begin += kStrip) {
    const uint64_t end = std::min(weight.in_features, begin + kStrip);
    const uint64_t count = round_up(end - begin, kColumnPad);
    for (uint64_t w = 0; w < kWeights; ++w) {
      uint16_t* strip = strips + w * kStride;
      weight.decode_groups(weight.format, row + w, begin, end, strip, scales[w]);
      std::fill(strip + (end - begin), strip + count, uint16_t{0});
    }
    const auto* words = static_cast<const uint16_t*>(x.words) + begin;
    for (uint64_t at = 0, group = 0; at < count; at += weight.group, ++group) {
      const uint64_t here = std::min<uint64_t>(weight.group, count - at);
      for_row_groups(x.rows, [&](auto rows, uint64_t first) {
        constexpr uint64_t kRows = decltype(rows)::value;
        float factors[kWeights * kRows];
        for (uint64_t i = 0; i < kWeights * kRows; ++i) {
          const float* x_scales = x.scales + (first + i % kRows) * row_groups;
          factors[i] = scales[i / kRows][group] * x_scales[begin / weight.group + group];
        }
        add_group<kWeights, kRows>(strips + at, kStride, words + first * x.columns + at, x.columns,
                                   here, factors, sums + first);
      });
    }
  }
  for (uint64_t w = 0; w < kWeights; ++w) {
    for (uint64_t i = 0; i < x.rows; ++i) values[w * kFewRows + i] = sum_of(sums[w * kFewRows + i]);
  }
}
#endif

void finish_int8_row(const LinearWeight& weight, const PreparedActivations& x, uint64_t row,
                     const int32_t* sums, float* values) {
  const float factor = sum_factor(weight);
  for (uint64_t i = 0; i < x.rows; ++i) {
    values[i] =
        static_cast<float>(sums[i] + x.offsets[i]) * (x.scales[i] * weight.scb[row]) * factor;
  }
  for (uint64_t j = 0; j < x.outlier_count; ++j) {
    const uint32_t column = x.outliers[j];
    const float decoded = outlier_weight(weight, x.source.type, row, column);
    for (uint64_t i = 0; i < x.rows; ++i) values[i] += decoded * activation_at(x.source, i, column);
  }
}

// kWeights rows of the weight from `row` on.
template <int kWeights>
void int8_set(const LinearWeight& weight, const PreparedActivations& x, uint64_t row,
              float* values) {
  int32_t sums[kWeights * kFewRows];
  const int8_t* codes = weight.codes + row * weight.in_features;
  for_row_groups(x.rows, [&](auto rows, uint64_t first) {
    byte_dots<kWeights, decltype(rows)::value>(
        codes, weight.in_features, static_cast<const int8_t*>(x.words) + first * x.columns,
        x.columns, weight.in_features, sums + first);
  });
  for (uint64_t w = 0; w < kWeights; ++w)
    finish_int8_row(weight, x, row + w, sums + w * kFewRows, values + w * kFewRows);
}

// What offset and minimum of each block contribute.
float constant_part(const LinearWeight& weight, const float* scales, const float* minimums,
                    const float* x_sums, uint64_t blocks) {
  const auto offset = static_cast<float>(byte_offset(weight.offset));
  Floats sum{};
  uint64_t block = 0;
  for (; block + kWidth <= blocks; block += kWidth) {
    Floats constant = load<Floats>(scales + block) * -offset;
    if (weight.minimums) constant += load<Floats>(minimums + block);
    sum = multiply_add(constant, load<Floats>(x_sums + block), sum);
  }
  float rest = 0;
  for (; block < blocks; ++block) {
    const float constant = scales[block] * -offset + (weight.minimums ? minimums[block] : 0.0f);
    rest += constant * x_sums[block];
  }
  return sum_of(sum) + rest;
}

template <uint64_t kBlock>
void blocks_row(const LinearWeight& weight, const PreparedActivations& x, uint64_t row,
                std::byte* scratch, float* values) {
  auto* codes = reinterpret_cast<uint8_t*>(scratch);
  auto* scales = reinterpret_cast<float*>(scratch + kTileBytes);
  float* minimums = scales + kScaleStride;
  Floats sums[kFewRows] = {};
  float constants[kFewRows] = {};
  const uint64_t row_blocks = x.columns / kBlock;
  for (uint64_t begin = 0; begin < weight.in_features; begin += kStrip) {
    const uint64_t end = std::min(weight.in_features, begin + kStrip);
    weight.decode_codes(weight.format, row, begin, end, codes, scales, minimums);
    make_bytes(weight.offset, codes, end - begin);
    const uint64_t count = round_up(end - begin, kColumnPad);
    std::fill(codes + (end - begin), codes + count, uint8_t{0});
    const uint64_t filled = (end - begin) / kBlock, blocks = count / kBlock;
    std::fill(scales + filled, scales + blocks, 0.0f);
    std::fill(minimums + filled, minimums + blocks, 0.0f);
    for (uint64_t i = 0; i < x.rows; ++i) {
      const uint64_t first = i * row_blocks + begin / kBlock;
      add_blocks<kBlock>(codes, scales, static_cast<const int8_t*>(x.words) + i * x.columns + begin,
                         x.scales + first, count, sums[i]);
      constants[i] += constant_part(weight, scales, minimums, x.sums + first, blocks);
    }
  }
  for (uint64_t i = 0; i < x.rows; ++i) values[i] = sum_of(sums[i]) + constants[i];
}

// values[i] = row `row` of the weight times row i of x.
void multiply_row(const LinearWeight& weight, const PreparedActivations& x, uint64_t row,
                  std::byte* scratch, float* values) {
  switch (weight.arithmetic) {
    case Arithmetic::bfloat16:
#if defined(PRECIS_DOT_OF_BFLOAT16)
      float_row<DotBFloat16>(weight, x, row, reinterpret_cast<uint16_t*>(scratch), values);
      break;
#endif
    case Arithmetic::float32:
      float_row<DotFloat32>(weight, x, row, reinterpret_cast<float*>(scratch), values);
      break;
    case Arithmetic::bfloat16_groups:
#if defined(PRECIS_DOT_OF_BFLOAT16)
      groups_set<1>(weight, x, row, scratch, values);
#endif
      break;
    case Arithmetic::int8_rows:
      return int8_set<1>(weight, x, row, values);
    case Arithmetic::int8_blocks:
      if (weight.block == 32)
        blocks_row<32>(weight, x, row, scratch, values);
      else
        blocks_row<16>(weight, x, row, scratch, values);
      break;
  }
}

void multiply_rows(const LinearWeight& weight, const PreparedActivations& x, uint64_t first,
                   uint64_t count, std::byte* scratch, float (&values)[kRowsAtOnce][kFewRows]) {
  uint64_t i = 0;
  // One row of x gains nothing from several of the weight.
  if (x.rows > 1 && weight.arithmetic == Arithmetic::int8_rows)
    for (; i + 4 <= count; i += 4) int8_set<4>(weight, x, first + i, values[i]);
#if defined(PRECIS_DOT_OF_BFLOAT16)
  if (x.rows > 1 && weight.arithmetic == Arithmetic::bfloat16_groups)
    for (; i + 4 <= count; i += 4) groups_set<4>(weight, x, first + i, scratch, values[i]);
#endif
  if (weight.decode_rows == nullptr) {
    for (; i < count; ++i) multiply_row(weight, x, first + i, scratch, values[i]);
    return;
  }
#if defined(PRECIS_DOT_OF_BFLOAT16)
  if (weight.arithmetic == Arithmetic::bfloat16)
    return float_rows<DotBFloat16>(weight, x, first, count, scratch, values);
#endif
  float_rows<DotFloat32>(weight, x, first, count, scratch, values);
}

}  // namespace

void multiply_few(const LinearWeight& weight, const PreparedActivations& x, uint64_t begin,
                  uint64_t end, const LinearOutput& y, std::byte* scratch) {
  if (has_row_dot(weight, x.source.type)) return dot_rows(weight, x, begin, end, y);
  for (uint64_t first = begin; first < end; first += kRowsAtOnce) {
    const uint64_t count = std::min(kRowsAtOnce, end - first);
    float values[kRowsAtOnce][kFewRows];
    multiply_rows(weight, x, first, count, scratch, values);
    with_type(x.source.type, [&](auto tag) {
      for (uint64_t row = 0; row < x.rows; ++row) {
        float column[kRowsAtOnce];
        for (uint64_t i = 0; i < count; ++i) column[i] = values[i][row];
        write_row<decltype(tag)>(y, row, first, column, count);
      }
    });
  }
}

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
