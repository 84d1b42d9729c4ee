// Compiled once for each instruction set.
#include "kernels/cpu/groups/group_rows.h"

#include <algorithm>

#include "kernels/cpu/common/byte_numbers.h"
#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// The value of a code of a group.
template <typename Scale>
auto value_of(const GroupRows& weight, float scale, float zero) {
  return [adds_zero = weight.adds_zero, scale, zero](auto code) {
    using Value = decltype(code);
    const auto factor = all_of<Value>(scale), offset = all_of<Value>(zero);
    return round_as<Scale>(adds_zero ? code * factor + offset : (code - offset) * factor);
  };
}

template <typename Scale, typename Out>
void decode_byte_row(const GroupRows& weight, uint64_t row, uint64_t begin, uint64_t end,
                     typename Out::Stored* out) {
  const uint8_t* codes = weight.codes + row * weight.columns;
  const float* scales = weight.scales + row * weight.groups();
  const float* zeros = weight.zeros + row * weight.groups();
  for (uint64_t column = begin; column < end;) {
    const uint64_t group = column / weight.group_size;
    const uint64_t stop = std::min(end, (group + 1) * weight.group_size);
    decode_bytes<UnsignedBytes, Out>(codes + column, stop - column,
                                     value_of<Scale>(weight, scales[group], zeros[group]),
                                     out + (column - begin));
    column = stop;
  }
}

template <typename Scale, typename Out>
void decode_row(const GroupRows& weight, uint64_t row, uint64_t begin, uint64_t end,
                typename Out::Stored* out) {
  if (weight.bytes) return decode_byte_row<Scale, Out>(weight, row, begin, end, out);
  const uint8_t* codes = weight.codes + row * (weight.columns / 2);
  const float* scales = weight.scales + row * weight.groups();
  const float* zeros = weight.zeros + row * weight.groups();
  for (uint64_t column = begin; column < end;) {
    const uint64_t group = column / weight.group_size;
    const uint64_t stop = std::min(end, (group + 1) * weight.group_size);
    const ValueTable<Out> table(kUnsignedNibbles,
                                value_of<Scale>(weight, scales[group], zeros[group]));
    if (column % 2 != 0) {
      table.look_up_plane(codes + column / 2, 4, 15, 1, out);
      ++column;
      ++out;
    }
    table.look_up_nibbles(codes + column / 2, stop - column, out);
    out += stop - column;
    column = stop;
  }
}

void decode_floats(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const GroupRows*>(format);
  with_type(weight.scale_type, [&](auto scale) {
    using Scale = decltype(scale);
    if (weight.out_type == WeightType::bf16)
      return decode_row<Scale, BF16>(weight, row, begin, end, static_cast<uint16_t*>(out));
    decode_row<Scale, F32>(weight, row, begin, end, static_cast<float*>(out));
  });
}

#if defined(PRECIS_ROW_DOT)
// The scales of columns [begin, end) of a row, and what is added for each number that a code
// exceeds by `shift`.
template <int kGroup>
void load_strip(const GroupRows& weight, uint64_t row, uint64_t begin, uint64_t end, float shift,
                StripScales& strip) {
  const auto load = [&](const float* stored, float* out) {
    load_group_numbers<kGroup>(begin, end, weight.group_size, WeightType::f32,
                               stored + row * weight.groups(), out);
  };
  load(weight.scales, strip.scales);
  load(weight.zeros, strip.offsets);
  for (uint64_t i = 0; i < (end - begin) / kGroup; ++i) {
    const float scale = strip.scales[i], zero = strip.offsets[i];
    strip.offsets[i] = weight.adds_zero ? shift * scale + zero : (shift - zero) * scale;
  }
}

template <int kGroup>
struct ByteRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  ByteRow(const GroupRows& weight, uint64_t row, uint64_t begin, uint64_t end, StripScales& strip)
      : codes(weight.codes + row * weight.columns + begin), scales(strip.scales) {
    load_strip<kGroup>(weight, row, begin, end, 128 - kIntegerShift, strip);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_bytes<kGroup>(words, codes, to, scales);
    codes += kDotColumns;
    scales += kDotColumns / kGroup;
  }
  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<ByteRow>(*static_cast<const GroupRows*>(format), rows, x, sums);
  }

  IntegerWords words{0x80};
  const uint8_t* codes;
  const float* scales;
};

template <int kGroup>
struct NibbleRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  NibbleRow(const GroupRows& weight, uint64_t row, uint64_t begin, uint64_t end, StripScales& strip)
      : packed(weight.codes + (row * weight.columns + begin) / 2), scales(strip.scales) {
    load_strip<kGroup>(weight, row, begin, end, 0, strip);
  }
  template <typename To>
  [[gnu::always_inline]] void add(To to) {
    add_nibbles(table, load_words(packed), to, neighbour_scales<kGroup>(scales));
    packed += kDotColumns / 2;
    scales += kDotColumns / kGroup;
  }
  static void multiply(const void* format, std::span<const uint64_t> rows, const ActivationRows& x,
                       float* sums) {
    multiply_rows<NibbleRow>(*static_cast<const GroupRows*>(format), rows, x, sums);
  }

  NibbleWords table{kUnsignedNibbles};
  const uint8_t* packed;
  const float* scales;
};

RowDot row_dot(const GroupRows& weight) {
  if (weight.bytes)
    return grouped_row_dot<ByteRow>(weight.columns, weight.group_size, byte_columns());
  return grouped_row_dot<NibbleRow>(weight.columns, weight.group_size,
                                    kNibbleColumns<kLowNibbleFirst>.data());
}
#else
RowDot row_dot(const GroupRows&) {
  return {};
}
#endif

}  // namespace

const GroupRowsKernels& group_rows_kernels() {
  static constexpr GroupRowsKernels kernels{decode_floats, row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
