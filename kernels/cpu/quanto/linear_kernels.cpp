// Compiled once for each instruction set.
#include "kernels/cpu/common/value_table.h"
#include "kernels/cpu/linear/column_order.h"
#include "kernels/cpu/linear/row_dot.h"
#include "kernels/cpu/quanto/linear.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

// The value of a code, rounded at each step as the library rounds it.
template <typename Scale>
auto value_of(const QuantoGroupWeight& weight, uint64_t index) {
  using Stored = typename Scale::Stored;
  const float scale = Scale::load(static_cast<const Stored*>(weight.scales), index);
  const float shift = Scale::load(static_cast<const Stored*>(weight.shifts), index);
  return [scale, shift](auto code) {
    using Value = decltype(code);
    return round_as<Scale>(round_as<Scale>(all_of<Value>(scale) * code) - all_of<Value>(shift));
  };
}

template <typename Scale, typename Out>
void decode_group_range(const QuantoGroupWeight& weight, uint64_t from, uint64_t to,
                        typename Out::Stored* out) {
  const uint64_t planes = static_cast<uint64_t>(8 / weight.bits);
  const uint64_t packed_rows = (weight.groups + planes - 1) / planes;
  const int mask = (1 << weight.bits) - 1;
  for (uint64_t i = from; i < to;) {
    const uint64_t group = i / weight.group_size, first = i % weight.group_size;
    const uint64_t count = std::min(to - i, weight.group_size - first);
    const ValueTable<Out> table(kUnsignedNibbles, value_of<Scale>(weight, group));
    table.look_up_plane(weight.packed + group % packed_rows * weight.group_size + first,
                        static_cast<int>(group / packed_rows) * weight.bits, mask, count,
                        out + (i - from));
    i += count;
  }
}

template <typename Scale, typename Out>
void decode_single_group(const QuantoGroupWeight& weight, uint64_t from, uint64_t to,
                         typename Out::Stored* out) {
  const int mask = (1 << weight.bits) - 1;
  for (uint64_t i = from; i < to; ++i) {
    const auto code = static_cast<float>(weight.packed[i] & mask);
    Out::store(out, i - from, value_of<Scale>(weight, i)(code));
  }
}

#if defined(PRECIS_ROW_DOT)
// Codes of 4 or 2 bits: 2 or 4 rows stand in the same bytes.
template <int kGroup>
struct PlaneRow {
  static constexpr uint64_t kColumns = kDotColumns, kSumColumns = kGroup;

  PlaneRow(const QuantoGroupWeight& weight, uint64_t row, uint64_t begin, uint64_t end,
           StripScales& strip)
      : table(low_bits(weight.bits)), scales(strip.scales) {
    const uint64_t from = row * weight.columns + begin, to = row * weight.columns + end;
    const uint64_t planes = 8 / static_cast<uint64_t>(weight.bits);
    const uint64_t piece = weight.groups / planes * weight.group_size;
    plane = _mm_cvtsi32_si128(weight.bits * static_cast<int>(from / piece));
    bytes = weight.packed + from % piece;
    const auto load = [&](const void* stored, float* out) {
      load_group_numbers<kGroup>(from, to, weight.group_size, weight.scale_type, stored, out);
    };
    load(weight.scales, strip.scales);
    load(weight.shifts, strip.offsets);
    for (uint64_t i = 0; i < (to - from) / kGroup; ++i) strip.offsets[i] = -strip.offsets[i];
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
    multiply_rows<PlaneRow>(*static_cast<const QuantoGroupWeight*>(format), rows, x, sums);
  }

  NibbleWords table;
  const uint8_t* bytes;
  __m128i plane;
  const float* scales;
};

RowDot row_dot(const QuantoGroupWeight& weight) {
  if ((weight.bits != 4 && weight.bits != 2) || weight.per_column ||
      weight.columns % weight.group_size != 0)
    return {};
  const auto planes = static_cast<uint64_t>(8 / weight.bits);
  const bool whole_pieces = weight.groups % (planes * (weight.columns / weight.group_size)) == 0;
  if (!whole_pieces) return {};
  return grouped_row_dot<PlaneRow>(weight.columns, weight.group_size,
                                   kPlaneColumns<kBytePlanes>.data(), planes);
}
#else
RowDot row_dot(const QuantoGroupWeight&) {
  return {};
}
#endif

void decode_groups(const void* format, uint64_t row, uint64_t begin, uint64_t end, void* out) {
  const auto& weight = *static_cast<const QuantoGroupWeight*>(format);
  const uint64_t from = row * weight.columns + begin, to = row * weight.columns + end;
  with_type(weight.scale_type, [&](auto scale_tag) {
    using Scale = decltype(scale_tag);
    with_type(weight.out_type, [&](auto out_tag) {
      using Out = decltype(out_tag);
      auto* values = static_cast<typename Out::Stored*>(out);
      if (weight.per_column) return decode_single_group<Scale, Out>(weight, from, to, values);
      decode_group_range<Scale, Out>(weight, from, to, values);
    });
  });
}

}  // namespace

const QuantoLinearKernels& quanto_linear_kernels() {
  static constexpr QuantoLinearKernels kernels{decode_groups, row_dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
