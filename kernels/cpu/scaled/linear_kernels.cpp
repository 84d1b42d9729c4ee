// Compiled once for each instruction set.
#include "kernels/cpu/scaled/linear.h"

#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"
#include "kernels/cpu/scaled/tile_values.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(PRECIS_ROW_DOT)
// The scales of columns [begin, end) of a row.
template <int kGroup>
void load_strip(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                float* scales) {
  const ScaleTiles& tiles = weight.tiles;
  const uint64_t first = begin / tiles.columns, last = (end - 1) / tiles.columns + 1;
  const uint64_t row_tiles = row / tiles.rows * tiles.per_row;
  if (tiles.columns == kGroup)
    return load_scales(weight, row_tiles + first, row_tiles + last, scales);
  float tile_scales[StripScales::kCount + 1];
  load_scales(weight, row_tiles + first, row_tiles + last, tile_scales);
  load_groups<kGroup>(
      begin, end, tiles.columns, [&](uint64_t tile) { return tile_scales[tile - first]; }, scales);
}
// What zero points take off.
template <int kGroup>
void load_offsets(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
                  StripScales& strip) {
  const ScaleTiles& tiles = weight.tiles;
  load_groups<kGroup>(
      begin, end, tiles.columns,
      [&](uint64_t tile) {
        return load_zero(weight.zero_type, weight.rows, tiles, weight.zeros, row, tile);
      },
      strip.offsets);
  for (uint64_t i = 0; i < (end - begin) / kGroup; ++i) strip.offsets[i] *= -strip.scales[i];
}

const uint8_t* codes_at(const ScaledWeight& weight, uint64_t row) {
  return static_cast<const uint8_t*>(weight.codes) + row * weight.rows.row_bytes();
}

template <int kGroup, bool kHasZeros>
struct NibbleRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kHasZeros ? kGroup : 0;

  NibbleRow(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
            StripScales& strip)
      : table(NibbleNumbers(weight.rows).list),
        packed(codes_at(weight, row) + begin / 2),
        scales(strip.scales) {
    load_strip<kGroup>(weight, row, begin, end, strip.scales);
    if constexpr (kHasZeros) load_offsets<kGroup>(weight, row, begin, end, strip);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_nibbles(table, load_words(packed), to, neighbour_scales<kGroup>(scales));
    packed += kDotColumns / 2;
    scales += kDotColumns / kGroup;
  }

  NibbleWords table;
  const uint8_t* packed;
  const float* scales;
};

// Two rows to a byte.
template <int kGroup, bool>
struct RowPairRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = 0;

  RowPairRow(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
             StripScales& strip)
      : plane(_mm_cvtsi32_si128(row % 2 == 0 ? 0 : 4)),
        bytes(static_cast<const uint8_t*>(weight.codes) + weight.rows.offset(row) + begin),
        scales(strip.scales) {
    load_strip<kGroup>(weight, row, begin, end, strip.scales);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_plane(table, bytes, plane, to, half_scales<kGroup>(scales, 0),
              half_scales<kGroup>(scales, 1));
    bytes += kDotColumns;
    scales += kDotColumns / kGroup;
  }

  NibbleWords table{kSignedNibbles};
  __m128i plane;
  const uint8_t* bytes;
  const float* scales;
};

#if defined(PRECIS_ROW_DOT_OF_BFLOAT16)
template <int kGroup, bool>
struct Float6Row {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = 0;

  Float6Row(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
            StripScales& strip)
      : packed(codes_at(weight, row) + begin / 4 * 3), scales(strip.scales) {
    load_strip<kGroup>(weight, row, begin, end, strip.scales);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    const __m512i first = six_bit_codes(packed), last = six_bit_codes(packed + 48);
    to.add(table[first], table[last], table[_mm512_srli_epi16(first, 8)],
           table[_mm512_srli_epi16(last, 8)], half_scales<kGroup>(scales, 0),
           half_scales<kGroup>(scales, 1));
    packed += 96;
    scales += kDotColumns / kGroup;
  }

  SixBitWords table{float6_e2m3_to_float};
  const uint8_t* packed;
  const float* scales;
};
const uint8_t* float6_columns() {
  return kPlaneColumns<kBytePlanes>.data();
}
#else
template <int kGroup, bool>
struct Float6Row {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = 0;
  static constexpr float kFactor = kFloat6Factor;

  Float6Row(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
            StripScales& strip)
      : packed(codes_at(weight, row) + begin / 4 * 3), scales(strip.scales) {
    load_strip<kGroup>(weight, row, begin, end, strip.scales);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    for (uint64_t at = 0; at < kDotColumns; at += kGroup, ++scales) {
      auto dots = to.dots();
#pragma GCC unroll 4
      for (uint64_t i = 0; i < kGroup; i += 32, packed += 24) dots.add(i, words.load(packed));
      to.add(dots, _mm256_set1_ps(*scales));
      to.column += kGroup;
    }
  }

  Float6E2M3Words words;
  const uint8_t* packed;
  const float* scales;
};
const uint8_t* float6_columns() {
  return nullptr;
}
#endif

template <int kGroup, bool kHasZeros>
struct ByteRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  ByteRow(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
          StripScales& strip)
      : words(weight.rows.type == NarrowType::int8 ? 0 : 0x80),
        codes(codes_at(weight, row) + begin),
        scales(strip.scales) {
    load_strip<kGroup>(weight, row, begin, end, strip.scales);
    if constexpr (kHasZeros) load_offsets<kGroup>(weight, row, begin, end, strip);
    for (uint64_t i = 0; i < (end - begin) / kGroup; ++i)
      strip.offsets[i] = (kHasZeros ? strip.offsets[i] : 0.0f) - kIntegerShift * strip.scales[i];
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_bytes<kGroup>(words, codes, to, scales);
    codes += kDotColumns;
    scales += kDotColumns / kGroup;
  }

  IntegerWords words;
  const uint8_t* codes;
  const float* scales;
};

template <int kGroup, bool>
struct Float8Row {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = 0;
  static constexpr float kFactor = kFloat8Factor;

  Float8Row(const ScaledWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
            StripScales& strip)
      : codes(codes_at(weight, row) + begin), scales(strip.scales) {
    load_strip<kGroup>(weight, row, begin, end, strip.scales);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_bytes<kGroup>(words, codes, to, scales);
    codes += kDotColumns;
    scales += kDotColumns / kGroup;
  }
  float nan() const { return nan_of(words); }

  Float8E4M3FNWords words;
  const uint8_t* codes;
  const float* scales;
};

template <template <int, bool> typename Row, bool kHasZeros>
struct Rows {
  template <int kGroup>
  struct Of {
    static constexpr uint64_t kSumColumns = Row<kGroup, kHasZeros>::kSumColumns;
    static void multiply(const void* format, std::span<const uint64_t> rows,
                         const ActivationRows& x, float* sums) {
      const ScaledWeight& weight = static_cast<const ScaledProduct*>(format)->weight;
      multiply_rows<Row<kGroup, kHasZeros>>(weight, rows, x, sums);
    }
  };
};

template <template <int, bool> typename Row>
RowDot scaled_row_dot(const ScaledWeight& weight, const uint8_t* column_order) {
  const uint64_t columns = weight.rows.columns, group = weight.tiles.columns;
  if (weight.zero_type == ZeroType::none)
    return grouped_row_dot<Rows<Row, false>::template Of>(columns, group, column_order);
  return grouped_row_dot<Rows<Row, true>::template Of>(columns, group, column_order);
}

RowDot dot_of(const ScaledWeight& weight) {
  if (weight.tile_of != nullptr) return {};
  const NarrowRows& rows = weight.rows;
  if (rows.type == NarrowType::int8 || (rows.type == NarrowType::packed_int && rows.bits == 8))
    return scaled_row_dot<ByteRow>(weight, byte_columns());
  if (rows.type == NarrowType::float8_e4m3fn && weight.zero_type == ZeroType::none)
    return grouped_row_dot<Rows<Float8Row, false>::Of>(rows.columns, weight.tiles.columns,
                                                       byte_columns());
  if (rows.type == NarrowType::float6_e2m3 && weight.zero_type == ZeroType::none)
    return grouped_row_dot<Rows<Float6Row, false>::Of>(rows.columns, weight.tiles.columns,
                                                       float6_columns());
  if (rows.type == NarrowType::int4_row_pairs && weight.zero_type == ZeroType::none)
    return grouped_row_dot<Rows<RowPairRow, false>::Of>(rows.columns, weight.tiles.columns,
                                                        kPlaneColumns<kBytePlanes>.data());
  if (has_nibbles(weight) && weight.tiles.columns == 16 && weight.zero_type == ZeroType::none &&
      rows.columns % kDotColumns == 0)
    return row_dot_of<Rows<NibbleRow, false>::Of<16>>(kNibbleColumns<kLowNibbleFirst>.data());
  if (has_nibble_tiles(weight))
    return scaled_row_dot<NibbleRow>(weight, kNibbleColumns<kLowNibbleFirst>.data());
  return {};
}

RowDot row_dot(const ScaledWeight& weight) {
  RowDot dot = dot_of(weight);
  dot.is_exact = weight.rounding == WeightType::f32 && weight.zero_type == ZeroType::none;
  return dot;
}
#else
RowDot row_dot(const ScaledWeight&) {
  return {};
}
#endif

}  // namespace

const ScaledLinearKernels& scaled_linear_kernels() {
  static constexpr ScaledLinearKernels kernels{row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
