// Compiled once for each instruction set.
#include "kernels/cpu/hqq/linear.h"

#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/field_words.h"
#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(PRECIS_ROW_DOT)
// The scales and zero points of elements [begin, end).
template <int kGroup>
void load_scales(const HqqProductWeight& product, uint64_t begin, uint64_t end,
                 StripScales& strip) {
  const HqqWeight& weight = product.weight;
  const auto load = [&](const void* stored, float* out) {
    load_group_numbers<kGroup>(begin, end, weight.grid.columns, weight.meta_type, stored, out);
  };
  load(weight.scales, strip.scales);
  load(weight.zeros, strip.offsets);
}

// Asks for them from memory. Of ten pieces, they are more streams than the processor foresees.
void prefetch_scales(const HqqWeight& weight, uint64_t begin, uint64_t end) {
  const uint64_t size = weight.meta_type == WeightType::f32 ? 4 : 2, group = weight.grid.columns;
  for (const void* stored : {weight.scales, weight.zeros}) {
    const char* bytes = static_cast<const char*>(stored) + begin / group * size;
    for (uint64_t i = 0; i < (end - begin) / group * size; i += 64)
      _mm_prefetch(bytes + i, _MM_HINT_T0);
  }
}

// Codes of 4, 2 or 1 bits: 2, 4 or 8 rows stand in the same bytes.
template <int kGroup>
struct PlaneRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  PlaneRow(const HqqProductWeight& product, uint64_t row, uint64_t begin, uint64_t end,
           StripScales& strip)
      : table(low_bits(product.weight.grid.bits)), scales(strip.scales) {
    const HqqGrid& grid = product.weight.grid;
    const uint64_t from = row * product.in_features + begin, to = row * product.in_features + end;
    const uint64_t piece = grid.packed_rows() * grid.columns;
    plane = _mm_cvtsi32_si128(grid.bits * static_cast<int>(grid.pieces() - 1 - from / piece));
    bytes = static_cast<const uint8_t*>(product.weight.packed) + from % piece;
    load_scales<kGroup>(product, from, to, strip);
    for (uint64_t i = 0; i < (to - from) / kGroup; ++i) strip.offsets[i] *= -strip.scales[i];
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_plane(table, bytes, plane, to, half_scales<kGroup>(scales, 0),
              half_scales<kGroup>(scales, 1));
    bytes += kDotColumns;
    scales += kDotColumns / kGroup;
  }

  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<PlaneRow>(*static_cast<const HqqProductWeight*>(format), rows, x, sums);
  }

  NibbleWords table;
  const uint8_t* bytes;
  __m128i plane;
  const float* scales;
};

// Codes of 3 bits: ten rows stand in the same words. A piece, a tenth of the weight, may end within
// a row of it, after any group.
template <int kGroup>
struct FieldRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  FieldRow(const HqqProductWeight& product, uint64_t row, uint64_t begin, uint64_t end,
           StripScales& strip)
      : FieldRow(product.weight.grid, static_cast<const uint32_t*>(product.weight.packed),
                 row * product.in_features + begin, strip) {
    const uint64_t from = row * product.in_features + begin, count = end - begin;
    load_scales<kGroup>(product, from, from + count, strip);
    const uint64_t below = from + product.in_features;
    prefetch_scales(product.weight, below, below + count);
    const auto piece_groups = static_cast<uint64_t>(piece_end - piece_begin) / kGroup;
    auto left = static_cast<uint64_t>(piece_end - words) / kGroup;
    float unit = 1.0f / static_cast<float>(field & -field);
    for (uint64_t i = 0; i < count / kGroup;) {
      const uint64_t stop = std::min(count / kGroup, i + left);
      for (; i < stop; ++i) {
        strip.offsets[i] *= -strip.scales[i];
        strip.scales[i] *= unit;
      }
      left = piece_groups;
      unit *= static_cast<float>(1 << kFieldBits);
    }
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
#pragma GCC unroll 4
    for (uint64_t i = 0; i < kDotColumns; i += kGroup) {
      add_fields<kGroup>(FieldWords(field), words, to, *scales++);
      words += kGroup;
      // Without a branch: sums would not stay in registers.
      const bool piece_ends = words == piece_end;
      words = piece_ends ? piece_begin : words;
      field >>= piece_ends ? kFieldBits : 0;
    }
  }

  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<FieldRow>(*static_cast<const HqqProductWeight*>(format), rows, x, sums);
  }

  uint32_t field;  // bits of a word
  const uint32_t *piece_begin, *piece_end, *words;
  const float* scales;

 private:
  static constexpr int kFieldBits = 3;

  FieldRow(const HqqGrid& grid, const uint32_t* packed, uint64_t from, const StripScales& strip)
      : piece_begin(packed),
        piece_end(packed + grid.packed_rows() * grid.columns),
        scales(strip.scales) {
    const auto piece_size = static_cast<uint64_t>(piece_end - piece_begin);
    field = 7u << kFieldBits * static_cast<int>(grid.pieces() - 1 - from / piece_size);
    words = packed + from % piece_size;
  }
};

// Codes of 8 bits.
template <int kGroup>
struct ByteRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  ByteRow(const HqqProductWeight& product, uint64_t row, uint64_t begin, uint64_t end,
          StripScales& strip)
      : bytes(static_cast<const uint8_t*>(product.weight.packed) + row * product.in_features +
              begin),
        scales(strip.scales) {
    const uint64_t from = row * product.in_features + begin, to = row * product.in_features + end;
    load_scales<kGroup>(product, from, to, strip);
    constexpr float kNumberOfZero = -128 + kIntegerShift;
    for (uint64_t i = 0; i < (to - from) / kGroup; ++i)
      strip.offsets[i] = -strip.scales[i] * (strip.offsets[i] + kNumberOfZero);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_bytes<kGroup>(words, bytes, to, scales);
    bytes += kDotColumns;
    scales += kDotColumns / kGroup;
  }

  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<ByteRow>(*static_cast<const HqqProductWeight*>(format), rows, x, sums);
  }

  IntegerWords words{0x80};
  const uint8_t* bytes;
  const float* scales;
};

RowDot row_dot(const HqqProductWeight& product) {
  const HqqGrid& grid = product.weight.grid;
  if (grid.axis != 1 || product.in_features % grid.columns != 0 ||
      product.in_features % kDotColumns != 0)
    return {};
  if (grid.bits == 8)
    return grouped_row_dot<ByteRow>(product.in_features, grid.columns, byte_columns());
  if (grid.bits == 3)
    return grouped_row_dot<FieldRow>(product.in_features, grid.columns, nullptr, grid.pieces());
  const bool whole_pieces = grid.rows % (grid.pieces() * (product.in_features / grid.columns)) == 0;
  if (!whole_pieces) return {};
  if (grid.columns == 16)
    return row_dot_of<PlaneRow<16>>(kPlaneColumns<kBytePlanes>.data(), grid.pieces());
  return grouped_row_dot<PlaneRow>(product.in_features, grid.columns,
                                   kPlaneColumns<kBytePlanes>.data(), grid.pieces());
}
#else
RowDot row_dot(const HqqProductWeight&) {
  return {};
}
#endif

}  // namespace

const HqqLinearKernels& hqq_linear_kernels() {
  static constexpr HqqLinearKernels kernels{row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
