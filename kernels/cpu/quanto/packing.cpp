#include <algorithm>

#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/quanto/quanto.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(QuantoKernels, quanto_kernels)

void pack_planes(int bits, const uint8_t* codes, uint64_t groups, uint64_t group_size,
                 uint64_t row_begin, uint64_t row_end, uint8_t* packed) {
  const auto per_byte = static_cast<uint64_t>(8 / bits);
  const uint64_t packed_rows = (groups + per_byte - 1) / per_byte;
  for (uint64_t row = row_begin; row < row_end; ++row) {
    uint8_t* out = packed + row * group_size;
    std::copy_n(codes + row * group_size, group_size, out);
    for (uint64_t plane = 1; plane < per_byte; ++plane) {
      const uint64_t group = row + plane * packed_rows;
      if (group >= groups) break;
      const uint8_t* from = codes + group * group_size;
      const int shift = static_cast<int>(plane) * bits;
      for (uint64_t i = 0; i < group_size; ++i)
        out[i] = static_cast<uint8_t>(out[i] | from[i] << shift);
    }
  }
}

uint64_t quanto_group_size(uint64_t columns) {
  if (columns <= 128) return columns;
  uint64_t group_size = 128;
  while (columns % group_size != 0 && group_size > 32) group_size -= 32;
  return columns % group_size == 0 ? group_size : columns;
}

void tinygemm_shift(const uint16_t* scales, uint16_t* shifts, uint64_t count) {
  const auto round = [](float value) { return bfloat16_to_float(float_to_bfloat16(value)); };
  for (uint64_t i = 0; i < count; ++i) {
    const float half = round(8.0f * bfloat16_to_float(scales[i]));
    const float zero_point = round(-bfloat16_to_float(shifts[i]) + half);
    shifts[i] = float_to_bfloat16(half - zero_point);
  }
}

}  // namespace precis::kernels
