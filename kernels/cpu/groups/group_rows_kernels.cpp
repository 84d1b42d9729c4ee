// Compiled once for each instruction set.
#include "kernels/cpu/groups/group_rows.h"

#include <algorithm>

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
void decode_row(const GroupRows& weight, uint64_t row, uint64_t begin, uint64_t end,
                typename Out::Stored* out) {
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

#if defined(__AVX512BF16__) && defined(__AVX512VBMI__)
void dot(const void* format, uint64_t row, const BFloat16Rows& x, float* sums) {
  const auto& weight = *static_cast<const GroupRows*>(format);
  const uint8_t* codes = weight.codes + row * (weight.columns / 2);
  const float* scales = weight.scales + row * weight.groups();
  const float* zeros = weight.zeros + row * weight.groups();
  const NibbleWords table(kUnsignedNibbles);
  dot_rows(x, sums, [&](auto& products) {
    for (uint64_t group = 0, column = 0; column < weight.columns; ++group) {
      const uint64_t count = std::min(weight.group_size, weight.columns - column);
      const float scale = scales[group], zero = zeros[group];
      add_nibble_pairs(table, codes + column / 2, count, scale, products);
      products.add_offset(weight.adds_zero ? zero : -zero * scale, count / kSumColumns);
      column += count;
    }
  });
}
#else
constexpr DotBfloat16 dot = nullptr;
#endif

}  // namespace

const GroupRowsKernels& group_rows_kernels() {
  static constexpr GroupRowsKernels kernels{decode_floats, dot};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
