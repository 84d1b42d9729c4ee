// Compiled once for each instruction set.
#include "kernels/cpu/groups/group_rows.h"

#include <algorithm>

#include "kernels/cpu/common/value_table.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

template <typename Scale, typename Out>
void decode_row(const GroupRows& weight, uint64_t row, uint64_t begin, uint64_t end,
                typename Out::Stored* out) {
  const uint8_t* codes = weight.codes + row * (weight.columns / 2);
  const float* scales = weight.scales + row * weight.groups();
  const float* zeros = weight.zeros + row * weight.groups();
  for (uint64_t column = begin; column < end;) {
    const uint64_t group = column / weight.group_size;
    const uint64_t stop = std::min(end, (group + 1) * weight.group_size);
    const ValueTable<Out> table(kUnsignedNibbles, [&](auto code) {
      using Value = decltype(code);
      const auto scale = all_of<Value>(scales[group]), zero = all_of<Value>(zeros[group]);
      return round_as<Scale>(weight.adds_zero ? code * scale + zero : (code - zero) * scale);
    });
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

}  // namespace

const GroupRowsKernels& group_rows_kernels() {
  static constexpr GroupRowsKernels kernels{decode_floats};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
