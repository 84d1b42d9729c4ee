// Activations: conversion, quantization to 8 bits, and packing. Compiled once for each instruction
// set.
#include <algorithm>
#include <limits>

#include "kernels/cpu/activations/float8_rules.h"
#include "kernels/cpu/activations/llm_int8.h"
#include "kernels/cpu/common/numbers.h"
#include "kernels/cpu/linear/entry_points.h"
#include "kernels/cpu/linear/tile_shape.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr uint64_t kBlock = 32;  // columns that share a scale

// Where a row of activations goes: a row of its own, or a lane of a panel.
template <typename Element, uint64_t kGroup>
struct Destination {
  Element* start;
  uint64_t row_words;  // words from one group of columns to the next

  // `values` belong to columns [begin, begin + count); count is a multiple of kGroup.
  template <typename Value>
  void put(const Value* values, uint64_t begin, uint64_t count) const {
    for (uint64_t i = 0; i < count; i += kGroup) {
      Element* word = start + (begin + i) * row_words;
      for (uint64_t j = 0; j < kGroup; ++j) word[j] = static_cast<Element>(values[i + j]);
    }
  }
};

// Columns [begin, end) of a row as float32, filled up with zeros to whole kColumnPad.
template <typename Type>
uint64_t load_strip(const typename Type::Stored* row, uint64_t begin, uint64_t end, float* strip) {
  const uint64_t count = end - begin, padded = round_up(count, kColumnPad);
  for (uint64_t i = 0; i < count; ++i) strip[i] = Type::load(row, begin + i);
  std::fill(strip + count, strip + padded, 0.0f);
  return padded;
}

template <typename Body>
void for_strips(uint64_t columns, Body&& body) {
  for (uint64_t begin = 0; begin < columns; begin += kStrip)
    body(begin, std::min(columns, begin + kStrip));
}

struct RowStatistics {
  float scale;
  int32_t sum = 0;
};

// One block of at most 32: codes and the scale of 1/127 of its largest magnitude. Blocks below
// 1e-36 become zeros, whose reciprocal would overflow.
inline float quantize_block(const float* values, int8_t* codes) {
  const float largest = absmax_of<F32>(values, 0, kBlock);
  const bool finite = largest <= std::numeric_limits<float>::max();
  const float inverse = finite && largest > 1e-36f ? 127.0f / largest : 0.0f;
  for (uint64_t i = 0; i < kBlock; ++i) {
    const float scaled = finite ? values[i] * inverse : 0.0f;
    codes[i] = static_cast<int8_t>(static_cast<int32_t>(round_to_even(scaled)));
  }
  if (!finite) return kNaN;
  return inverse == 0.0f ? 0.0f : largest / 127.0f;
}

// Blocks of 32 with scales; `at(block)` says where scales, sums and offsets of a block stand.
template <typename Type, typename Destination, typename At>
void prepare_blocks(const LinearWeight& weight, const PreparedActivations& x,
                    const typename Type::Stored* row, const Destination& to, At&& at) {
  for_strips(weight.in_features, [&](uint64_t begin, uint64_t end) {
    float strip[kStrip];
    int8_t codes[kStrip];
    const uint64_t count = load_strip<Type>(row, begin, end, strip);
    for (uint64_t i = 0; i < count; i += kBlock) {
      const float scale = quantize_block(strip + i, codes + i);
      for (uint64_t part = 0; part < kBlock; part += weight.block) {
        int32_t sum = 0;
        for (uint64_t j = 0; j < weight.block; ++j) sum += codes[i + part + j];
        const uint64_t index = at((begin + i + part) / weight.block);
        x.scales[index] = scale;
        x.sums[index] = scale * static_cast<float>(sum);
        x.offsets[index] = -byte_offset(weight.offset) * sum;
      }
    }
    to.put(codes, begin, count);
  });
}

// LLM.int8(): rounded to float16 first; outliers count for nothing.
template <typename Type, typename Destination>
RowStatistics prepare_int8_row(const LinearWeight& weight, const typename Type::Stored* row,
                               const uint8_t* outlier, const Destination& to) {
  const float threshold = weight.threshold > 0 ? weight.threshold : kNaN;
  RowStatistics statistics{activations::absmax_below<Type>(row, weight.in_features, threshold)};
  // torch computes 127 / scale as the reciprocal times 127: two roundings.
  const float factor = (1.0f / statistics.scale) * 127.0f;
  for_strips(weight.in_features, [&](uint64_t begin, uint64_t end) {
    float strip[kStrip];
    int8_t codes[kStrip];
    const uint64_t count = load_strip<Type>(row, begin, end, strip);
    std::fill(codes + (end - begin), codes + count, int8_t{0});
    statistics.sum +=
        activations::encode_but_outliers(strip, outlier + begin, factor, end - begin, codes);
    to.put(codes, begin, count);
  });
  // An infinity leaves nothing to scale by: the row becomes NaN.
  if (!(statistics.scale <= std::numeric_limits<float>::max())) statistics.scale = kNaN;
  return statistics;
}

// Symmetric integers of a whole row, by another library's rule.
template <typename Type, typename Destination>
RowStatistics prepare_rounded_row(const LinearWeight& weight, const typename Type::Stored* row,
                                  const Destination& to) {
  const ActivationRounding& rounding = *weight.rounding;
  const bool finite = activations::all_finite<Type>(row, weight.in_features);
  const auto affine = activations::integer_affine<Type>(
      rounding,
      finite ? activations::range_of<Type>(row, weight.in_features) : activations::Range());
  const float inverse = activations::inverse_of<Type>(rounding, affine);
  RowStatistics statistics{finite ? affine.scale : kNaN};
  for_strips(weight.in_features, [&](uint64_t begin, uint64_t end) {
    float strip[kStrip];
    int8_t codes[kStrip];
    const uint64_t count = load_strip<Type>(row, begin, end, strip);
    std::fill(codes, codes + count, int8_t{0});
    if (finite) {
      statistics.sum +=
          activations::encode_codes<Type>(rounding, affine, inverse, strip, end - begin, codes);
    }
    to.put(codes, begin, count);
  });
  return statistics;
}

template <typename Type, typename Destination>
void prepare_floats(uint64_t columns, const typename Type::Stored* row, const Destination& to) {
  for_strips(columns, [&](uint64_t begin, uint64_t end) {
    float strip[kStrip];
    const uint64_t count = load_strip<Type>(row, begin, end, strip);
    to.put(strip, begin, count);
  });
}

template <typename Destination>
void prepare_bfloat16(uint64_t columns, const uint16_t* row, const Destination& to) {
  for_strips(columns, [&](uint64_t begin, uint64_t end) {
    uint16_t strip[kStrip];
    const uint64_t count = round_up(end - begin, kColumnPad);
    std::copy(row + begin, row + end, strip);
    std::fill(strip + (end - begin), strip + count, uint16_t{0});
    to.put(strip, begin, count);
  });
}

// The sums of neighbours, in float32.
template <typename Type>
void sum_neighbours(const typename Type::Stored* row, uint64_t columns, uint64_t neighbours,
                    float* sums) {
  for (uint64_t begin = 0; begin < columns; begin += neighbours) {
    constexpr uint64_t kLanes = 16;
    float lanes[kLanes] = {};
    for (uint64_t i = 0; i < neighbours; i += kLanes) {
      for (uint64_t lane = 0; lane < kLanes; ++lane)
        lanes[lane] += Type::load(row, begin + i + lane);
    }
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    sums[begin / neighbours] = sum;
  }
}

// Brings every kDotColumns of a row into another order.
template <typename Number>
void reorder(const uint8_t* order, uint64_t columns, Number* row) {
  for (uint64_t begin = 0; begin < columns; begin += kDotColumns, row += kDotColumns) {
    Number natural[kDotColumns];
    std::copy(row, row + kDotColumns, natural);
    for (uint64_t i = 0; i < kDotColumns; ++i) row[i] = natural[order[i]];
  }
}

// Row `row` of few, which stands in x.words, as RowDot takes it.
template <typename Type>
void prepare_for_row_dot(const RowDot& dot, const PreparedActivations& x, uint64_t row) {
  auto* numbers = static_cast<typename Type::Stored*>(x.words) + row * x.columns;
  if (dot.sum_columns != 0) {
    sum_neighbours<Type>(numbers, x.columns, dot.sum_columns,
                         x.sums + row * (x.columns / dot.sum_columns));
  }
  if (dot.column_order != nullptr) reorder(dot.column_order, x.columns, numbers);
}

// Float8 numbers, which bfloat16 holds exactly, and a scale for each group; `at(group)` says where.
template <typename Type, typename Destination, typename At>
void prepare_groups(const LinearWeight& weight, const PreparedActivations& x,
                    const typename Type::Stored* row, const Destination& to, At&& at) {
  const ActivationRounding& rounding = *weight.rounding;
  const uint64_t columns = weight.in_features;
  const bool finite = activations::all_finite<Type>(row, columns);
  const bool whole_row = rounding.group == 0;
  const float row_scale =
      whole_row && finite ? activations::float8_scale<Type>(rounding, row, columns) : 0;
  for_strips(columns, [&](uint64_t begin, uint64_t end) {
    uint16_t strip[kStrip] = {};
    for (uint64_t first = begin; first < end; first += weight.group) {
      const auto* values = row + first;
      const uint64_t count = std::min<uint64_t>(weight.group, end - first);
      const float scale = whole_row || !finite
                              ? row_scale
                              : activations::float8_scale<Type>(rounding, values, count);
      x.scales[at(first / weight.group)] = finite ? scale : kNaN;
      if (!finite || scale == 0) continue;
      activations::convert<Type, BF16>(
          values, count,
          [&](auto value) { return activations::e4m3(value / all_of<decltype(value)>(scale)); },
          strip + (first - begin));
    }
    to.put(strip, begin, round_up(end - begin, kColumnPad));
  });
}

// One row of x to row `row` of few, or to lane `lane` of a panel of `lanes` rows that starts at
// `first`. Element sizes differ between the two only for bytes.
struct Place {
  uint64_t row, first, lane, lanes;
};
template <typename Element, uint64_t kGroup>
Destination<Element, kGroup> destination(const PreparedActivations& x, const Place& place) {
  auto* words = static_cast<Element*>(x.words);
  if (x.few) return {words + place.row * x.columns, 1};
  return {words + place.first * x.columns + place.lane * kGroup, place.lanes};
}

// Where the scale of a block of a row stands.
auto block_places(const PreparedActivations& x, uint64_t row, uint64_t blocks) {
  return [&x, row, blocks](uint64_t block) {
    return x.few ? row * blocks + block : block * x.padded_rows + row;
  };
}

template <typename Type, typename Destination>
void prepare_integers(const LinearWeight& weight, const PreparedActivations& x,
                      const typename Type::Stored* row, const uint8_t* outlier, uint64_t index,
                      const Destination& to) {
  if (weight.arithmetic == Arithmetic::int8_rows) {
    const RowStatistics statistics = weight.rounding == nullptr
                                         ? prepare_int8_row<Type>(weight, row, outlier, to)
                                         : prepare_rounded_row<Type>(weight, row, to);
    x.scales[index] = statistics.scale;
    x.offsets[index] = -int32_t{DotBytes::kFlip} * statistics.sum;
    return;
  }
  prepare_blocks<Type>(weight, x, row, to, block_places(x, index, scale_blocks(weight, x.columns)));
}

template <typename Type>
void prepare_row(const LinearWeight& weight, const PreparedActivations& x, const uint8_t* outlier,
                 const Place& place) {
  const auto* row =
      static_cast<const typename Type::Stored*>(x.source.data) + place.row * x.source.stride;
  switch (weight.arithmetic) {
    case Arithmetic::float32:
      prepare_floats<Type>(weight.in_features, row, destination<float, 1>(x, place));
      if (x.few && has_row_dot(weight, x.source.type))
        prepare_for_row_dot<F32>(weight.row_dot, x, place.row);
      return;
    case Arithmetic::bfloat16:
      prepare_bfloat16(weight.in_features, reinterpret_cast<const uint16_t*>(row),
                       destination<uint16_t, 2>(x, place));
      if (x.few && has_row_dot(weight, x.source.type))
        prepare_for_row_dot<BF16>(weight.row_dot, x, place.row);
      return;
    case Arithmetic::bfloat16_groups:
      return prepare_groups<Type>(weight, x, row, destination<uint16_t, 2>(x, place),
                                  block_places(x, place.row, scale_blocks(weight, x.columns)));
    case Arithmetic::int8_rows:
    case Arithmetic::int8_blocks:
      if (x.few)
        return prepare_integers<Type>(weight, x, row, outlier, place.row,
                                      destination<int8_t, 1>(x, place));
      return prepare_integers<Type>(weight, x, row, outlier, place.row,
                                    destination<DotBytes::X, DotBytes::kGroup>(x, place));
  }
}

// A lane without a row: zeros, so that what stood in the workspace before cannot matter.
void prepare_nothing(const LinearWeight& weight, const PreparedActivations& x, const Place& place) {
  for (uint64_t block = 0; block < scale_blocks(weight, x.columns); ++block) {
    const uint64_t index = block * x.padded_rows + place.row;
    x.scales[index] = x.sums[index] = 0;
    x.offsets[index] = 0;
  }
  const float zeros[kColumnPad] = {};
  for (uint64_t begin = 0; begin < x.columns; begin += kColumnPad) {
    if (weight.arithmetic == Arithmetic::float32)
      destination<float, 1>(x, place).put(zeros, begin, kColumnPad);
    else if (weight.arithmetic == Arithmetic::bfloat16 ||
             weight.arithmetic == Arithmetic::bfloat16_groups)
      destination<uint16_t, 2>(x, place).put(zeros, begin, kColumnPad);
    else
      destination<DotBytes::X, DotBytes::kGroup>(x, place).put(zeros, begin, kColumnPad);
  }
}

}  // namespace

void find_outliers(const Activations& x, float threshold, uint64_t begin, uint64_t end,
                   uint8_t* outlier) {
  with_type(x.type, [&](auto tag) {
    using Type = decltype(tag);
    for (uint64_t row = 0; row < x.rows; ++row) {
      const auto* values = static_cast<const typename Type::Stored*>(x.data) + row * x.stride;
      activations::mark_outliers<Type>(values + begin, end - begin, threshold, outlier + begin);
    }
  });
}

void prepare(const LinearWeight& weight, const PreparedActivations& x, const uint8_t* outlier,
             uint64_t index) {
  with_type(x.source.type, [&](auto tag) {
    using Type = decltype(tag);
    if (x.few) return prepare_row<Type>(weight, x, outlier, {index, 0, 0, 1});
    const uint64_t first = index * kPanelRows;
    const uint64_t lanes = std::min<uint64_t>(kPanelRows, x.padded_rows - first);
    for (uint64_t lane = 0; lane < lanes; ++lane) {
      const Place place{first + lane, first, lane, lanes};
      if (place.row < x.rows)
        prepare_row<Type>(weight, x, outlier, place);
      else
        prepare_nothing(weight, x, place);
    }
  });
}

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
