// RowDot::multiply for codes of 4 to 8 bits with a scale, and perhaps an offset, for 32 neighbours
// or more: the sum over groups of scale * (numbers . x) + offset * (sum of x).
//
// Numbers meet the activations in registers, a vector at a time. They are bfloat16: where that
// holds them exactly, nothing is rounded but the sums. Several rows of the weight are read at once:
// one stream does not keep the memory busy where pages are of 4 KiB.
#pragma once

#include <type_traits>
#include <utility>

#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/product.h"
#include "kernels/cpu/linear/row_scales.h"
#include "kernels/cpu/linear/row_sums.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

#if defined(PRECIS_ROW_DOT)

// RowDot::x_type.
#if defined(PRECIS_ROW_DOT_OF_BFLOAT16)
using DotType = BF16;
inline constexpr WeightType kDotType = WeightType::bf16;
#else
using DotType = F32;
inline constexpr WeightType kDotType = WeightType::f32;
#endif
using DotNumber = DotType::Stored;

inline float dot_floats(const float* a, const float* b, uint64_t count) {
#if defined(__AVX512F__)
  __m512 sum = _mm512_setzero_ps();
  for (uint64_t i = 0; i < count; i += 16) {
    const auto mask = static_cast<__mmask16>(count - i < 16 ? (1u << (count - i)) - 1 : 0xffffu);
    sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i),
                          sum);
  }
  return _mm512_reduce_add_ps(sum);
#else
  constexpr uint64_t kAtOnce = 8;
  float sums[kAtOnce] = {};
  uint64_t i = 0;
  for (; i + kAtOnce <= count; i += kAtOnce)
    for (uint64_t lane = 0; lane < kAtOnce; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  float sum = 0;
  for (const float lane : sums) sum += lane;
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
#endif
}

// nan() is NaN where a code was one, else 0.
template <typename Row>
concept IsFloat8 = requires(const Row row) {
  row.nan();
};
// A Row's numbers times Row::kFactor are what its codes stand for.
template <typename Row>
concept HasFactor = requires {
  Row::kFactor;
};

// A Row that adds its offsets to the sums by itself.
template <typename Row>
concept AddsOffsets = requires {
  Row::kAddsOffsets;
};
// How many rows of the weight are multiplied at once with kRows of x.
template <typename Row, int kRows>
constexpr int weights_at_once() {
  if constexpr (requires { Row::template kWeights<kRows>; }) return Row::template kWeights<kRows>;
  return kDotRows;
}

// What a Row adds to: Row::Sums, or DotSums.
template <typename Row>
struct SumsOf {
  template <int kWeights, int kRows>
  using Type = DotSums<kWeights, kRows>;
};
template <typename Row>
requires requires {
  typename Row::template Sums<1, 1>;
}
struct SumsOf<Row> {
  template <int kWeights, int kRows>
  using Type = typename Row::template Sums<kWeights, kRows>;
};

// One set of rows. Row(weight, row, begin, end, strip) stands at column `begin` of a row;
// Row::add(to) hands `to` the numbers of the next Row::kColumns. Where Row::kSumColumns is not 0,
// strip.offsets has one for so many columns of [begin, end) after that.
template <typename Row, int kRows, typename Weight, int... kWeight>
[[gnu::noinline]] void multiply_set(const Weight& weight, const uint64_t* rows,
                                    const ActivationRows& x, uint64_t first, float* sums,
                                    std::integer_sequence<int, kWeight...>) {
  constexpr int kWeights = sizeof...(kWeight);
  using Sums = typename SumsOf<Row>::template Type<kWeights, kRows>;
  Sums dots(x, first);
  StripScales strips[kWeights];
  float offsets[kWeights][kRows] = {};
  for (uint64_t begin = 0; begin < x.stride; begin += StripScales::kColumns) {
    const uint64_t end = std::min(x.stride, begin + StripScales::kColumns);
    Row walkers[kWeights] = {Row(weight, rows[kWeight], begin, end, strips[kWeight])...};
    for (uint64_t column = begin; column < end; column += Row::kColumns)
      (walkers[kWeight].add(RowSums<kWeight, Sums>{dots, column}), ...);
    if constexpr (IsFloat8<Row>) {
      for (int w = 0; w < kWeights; ++w)
        for (int i = 0; i < kRows; ++i) offsets[w][i] += walkers[w].nan();
    }
    if constexpr (Row::kSumColumns == 0 || AddsOffsets<Row>) continue;
    for (int w = 0; w < kWeights; ++w) {
      for (int i = 0; i < kRows; ++i) {
        constexpr uint64_t kOfSum = Row::kSumColumns;
        const float* x_sums = x.sums + (first + i) * (x.stride / kOfSum) + begin / kOfSum;
        offsets[w][i] += dot_floats(strips[w].offsets, x_sums, (end - begin) / kOfSum);
      }
    }
  }
  float factor = 1;
  if constexpr (HasFactor<Row>) factor = Row::kFactor;
  for (int w = 0; w < kWeights; ++w) {
    for (int i = 0; i < kRows; ++i)
      sums[w * x.count + first + i] = dots.sum(w, i) * factor + offsets[w][i];
  }
}

template <typename Row, int kRows, typename Weight>
void multiply_sets(const Weight& weight, std::span<const uint64_t> rows, const ActivationRows& x,
                   uint64_t first, float* sums) {
  constexpr int kAtOnce = weights_at_once<Row, kRows>();
  uint64_t i = 0;
  for (; i + kAtOnce <= rows.size(); i += kAtOnce)
    multiply_set<Row, kRows>(weight, rows.data() + i, x, first, sums + i * x.count,
                             std::make_integer_sequence<int, kAtOnce>());
  for (; i < rows.size(); ++i)
    multiply_set<Row, kRows>(weight, rows.data() + i, x, first, sums + i * x.count,
                             std::integer_sequence<int, 0>());
}

// Whether a Row takes so long to make its numbers that making them once for eight rows of x is
// worth reading one row of the weight at a time.
template <typename Row>
concept TakesEightRows = requires {
  requires Row::kEightRows;
};

// RowDot::multiply with a format's Row.
template <typename Row, typename Weight>
void multiply_rows(const Weight& weight, std::span<const uint64_t> rows, const ActivationRows& x,
                   float* sums) {
  uint64_t i = 0;
  if constexpr (TakesEightRows<Row>) {
    for (; i + 8 <= x.count; i += 8) {
      for (uint64_t row = 0; row < rows.size(); ++row)
        multiply_set<Row, 8>(weight, rows.data() + row, x, i, sums + row * x.count,
                             std::integer_sequence<int, 0>());
    }
  }
  for (; i + 4 <= x.count; i += 4) multiply_sets<Row, 4>(weight, rows, x, i, sums);
  for (; i + 2 <= x.count; i += 2) multiply_sets<Row, 2>(weight, rows, x, i, sums);
  if (i < x.count) multiply_sets<Row, 1>(weight, rows, x, i, sums);
}

// Row<...>::multiply with what it needs of x.
template <typename Row>
constexpr RowDot row_dot_of(const uint8_t* column_order, uint64_t sharing = 1) {
  return {Row::multiply, column_order, Row::kSumColumns, sharing, false, kDotType};
}
// Of a format whose decoded values are its numbers times their scales in float32.
constexpr RowDot exact(RowDot dot) {
  dot.is_exact = true;
  return dot;
}
// A RowDot with Row<scale_columns>::multiply, or none.
template <template <int> typename Row>
RowDot grouped_row_dot(uint64_t in_features, uint64_t group, const uint8_t* column_order,
                       uint64_t sharing = 1) {
  if (in_features % kDotColumns != 0) return {};
  switch (scale_columns(group)) {
    case 32:
      return row_dot_of<Row<32>>(column_order, sharing);
    case 64:
      return row_dot_of<Row<64>>(column_order, sharing);
    case 128:
      return row_dot_of<Row<128>>(column_order, sharing);
  }
  return {};
}

#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
