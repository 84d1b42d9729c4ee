// Encoding to AWQ's stored forms by rounding to nearest, bit for bit as kernels/cpu/awq: every step
// is rounded to float16.
#pragma once

#include "kernels/cpu/awq/awq.h"
#include "kernels/device/formats/grouped.h"
#include "kernels/device/quantize_groups.h"

namespace precis::kernels::PRECIS_DEVICE {

struct AwqEncoding {
  uint32_t rows, columns, group_size, groups;
  uint32_t padded_groups;  // of zero points and scales in gemv and gemv_fast; gemm: groups
};

PRECIS_FUNCTION GroupScale awq_scale(ValueRange range) {
  const float smallest = round_to(Rounding::half, 1e-5f);
  const float extent = round_to(Rounding::half, range.high - range.low);
  const float scale = round_to(Rounding::half, (extent < smallest ? smallest : extent) / 15.0f);
  const float quotient = round_to(Rounding::half, range.low / scale);
  const float zero = quotient == quotient ? -nearest_bounded(quotient) : 0.0f;
  return {scale, zero < 0 ? 0.0f : zero > 15.0f ? 15.0f : zero};
}

PRECIS_FUNCTION uint32_t awq_code(float value, GroupScale group) {
  const float code = nearest_bounded(round_to(Rounding::half, value / group.scale)) + group.offset;
  return static_cast<uint32_t>(code < 0 ? 0.0f : code > 15.0f ? 15.0f : code);
}

// The scales of 8 rows in up to 8 neighbouring groups, those beyond the last 0.
struct AwqScales {
  GroupScale of[8][8];  // [group][row]
};

// What one layout stores of them, and of the codes of one group.
template <AwqLayout Layout, class Code>
PRECIS_FUNCTION void store_awq_codes(const AwqEncoding& shape, uint32_t first_row, uint32_t begin,
                                     void* qweight, Code code) {
  constexpr uint32_t kNibbleOfRow = 0x73625140;  // a digit a row, from the lowest
  if constexpr (Layout == AwqLayout::gemm) {
    for (uint32_t i = threadIdx.x; i < shape.group_size; i += kGroupThreads) {
      uint32_t word = 0;
      for (uint32_t row = 0; row < 8; ++row)
        word |= code(row, begin + i) << (4 * (kNibbleOfRow >> (4 * row) & 7u));
      static_cast<uint32_t*>(qweight)[uint64_t{begin + i} * (shape.rows / 8) + first_row / 8] =
          word;
    }
  } else if constexpr (Layout == AwqLayout::gemv) {
    for (uint32_t item = threadIdx.x; item < shape.group_size; item += kGroupThreads) {
      const uint32_t row = item % 8, column = begin + item / 8 * 8;
      uint32_t word = 0;
      for (uint32_t i = 0; i < 8; ++i) word |= code(row, column + i) << (4 * i);
      static_cast<uint32_t*>(
          qweight)[uint64_t{first_row + row} * (shape.columns / 8) + column / 8] = word;
    }
  } else {
    for (uint32_t item = threadIdx.x; item < shape.group_size * 2; item += kGroupThreads) {
      const uint32_t within = item % 8, row = item / 8 % 8, half = begin + item / 64 * 32;
      uint32_t word = 0;
      for (uint32_t i = 0; i < 4; ++i) word |= code(row, half + 8 * i + within) << (4 * i);
      const uint64_t at = uint64_t{(first_row + row) / 4} * shape.columns + half / 64 * 64 +
                          16 * (row % 4) + 8 * (half / 32 % 2) + within;
      static_cast<uint16_t*>(qweight)[at] = static_cast<uint16_t>(word);
    }
  }
}

template <AwqLayout Layout>
PRECIS_FUNCTION void store_awq_scales(const AwqEncoding& shape, const AwqScales& scales_of,
                                      uint32_t first_row, uint32_t first_group, uint32_t count,
                                      void* qzeros, uint16_t* scales) {
  constexpr uint32_t kNibbleOfRow = 0x73625140;
  const uint32_t t = threadIdx.x, group = t / 8, row = t % 8;
  if (group < count) {
    const GroupScale mine = scales_of.of[group][row];
    const uint64_t at = Layout == AwqLayout::gemv
                            ? uint64_t{first_row + row} * shape.padded_groups + first_group + group
                            : uint64_t{first_group + group} * shape.rows + first_row + row;
    scales[at] = half_bits(mine.scale);
    if (Layout == AwqLayout::gemv_fast)
      static_cast<uint16_t*>(qzeros)[at] =
          first_group + group < shape.groups ? half_bits(-(mine.scale * mine.offset)) : 0;
  }
  if constexpr (Layout != AwqLayout::gemv_fast) {
    // A word holds 8 rows of a group, or 8 groups of a row.
    if (t < 8 && (Layout == AwqLayout::gemv || t < count)) {
      uint32_t word = 0;
      for (uint32_t i = 0; i < 8; ++i) {
        if constexpr (Layout == AwqLayout::gemm)
          word |= static_cast<uint32_t>(scales_of.of[t][i].offset)
                  << (4 * (kNibbleOfRow >> (4 * i) & 7u));
        else
          word |= static_cast<uint32_t>(scales_of.of[i][t].offset) << (4 * i);
      }
      const uint64_t at =
          Layout == AwqLayout::gemm
              ? uint64_t{first_group + t} * (shape.rows / 8) + first_row / 8
              : uint64_t{first_row + t} * (shape.padded_groups / 8) + first_group / 8;
      static_cast<uint32_t*>(qzeros)[at] = word;
    }
  }
}

// One block of threads for 8 rows and 8 groups, which share words. Bound by memory: the weight is
// read once from it and once from cache. Four blocks on a multiprocessor: for more of them ptxas
// would spill.
template <AwqLayout Layout, class Element>
__global__ void __launch_bounds__(kGroupThreads, 4)
    quantize_awq_kernel(PRECIS_PARAMETER AwqEncoding shape, const Element* weight, void* qweight,
                        void* qzeros, uint16_t* scales) {
  PRECIS_SHARED(AwqScales, scales_of);
  const uint32_t first_group = 8 * blockIdx.x, left = shape.padded_groups - first_group;
  const uint32_t count = left < 8 ? left : 8;
  for (uint32_t first_row = 8 * blockIdx.y; first_row < shape.rows; first_row += 8 * gridDim.y) {
    const auto value = [&](uint32_t row, uint32_t column) {
      return round_to(Rounding::half,
                      to_float(weight[uint64_t{first_row + row} * shape.columns + column]));
    };
    const uint32_t row = static_cast<uint32_t>(warp());
    for (uint32_t group = 0; group < 8; ++group) {
      GroupScale found{0, 0};
      if (first_group + group < shape.groups) {
        const uint32_t begin = (first_group + group) * shape.group_size;
        const float first = value(row, begin);
        found = awq_scale(warp_range({first, first}, shape.group_size,
                                     [&](uint32_t i) { return value(row, begin + i); }));
      }
      if (lane() == 0) scales_of.of[group][row] = found;
    }
    __syncthreads();
    store_awq_scales<Layout>(shape, scales_of, first_row, first_group, count, qzeros, scales);
    for (uint32_t group = 0; group < count && first_group + group < shape.groups; ++group)
      store_awq_codes<Layout>(shape, first_row, (first_group + group) * shape.group_size, qweight,
                              [&](uint32_t of_row, uint32_t column) {
                                return awq_code(value(of_row, column), scales_of.of[group][of_row]);
                              });
    __syncthreads();
  }
}

template <AwqLayout Layout, class Element>
const char* launch_quantize_awq(const AwqEncoding& shape, const Element* weight, void* qweight,
                                void* qzeros, uint16_t* scales, void* stream) {
  const uint32_t blocks = shape.rows / 8;
  return PRECIS_LAUNCH((quantize_awq_kernel<Layout, Element>),
                       dim3((shape.padded_groups + 7) / 8, blocks < 65535 ? blocks : 65535),
                       dim3(kGroupThreads), 0, stream, shape, weight, qweight, qzeros, scales);
}

}  // namespace precis::kernels::PRECIS_DEVICE
