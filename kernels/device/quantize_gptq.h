// Encoding to GPTQ's stored form by rounding to nearest, bit for bit as kernels/cpu/gptq.
#pragma once

#include "kernels/device/formats/packings.h"
#include "kernels/device/quantize_groups.h"

namespace precis::kernels::PRECIS_DEVICE {

struct GptqEncoding {
  uint32_t rows, columns, group_size, groups, bits;
  bool planar, symmetric, zero_less_one;
};

// Word `w` of the `bits` words that hold 32 codes; code(i) gives them.
template <class Code>
PRECIS_FUNCTION uint32_t packed_word(uint32_t bits, bool planar, uint32_t w, Code code) {
  uint32_t word = 0;
  if (!planar) {
    for (uint32_t i = 32 * w / bits; i < 32 && i * bits < 32 * w + 32; ++i) {
      const int position = static_cast<int>(i * bits) - static_cast<int>(32 * w);
      word |= position < 0 ? code(i) >> -position : code(i) << position;
    }
    return word;
  }
  uint32_t first = 0, bit = 0;
  for (uint32_t width = 8; width > 0; width /= 2) {
    if ((bits & width) == 0) continue;
    if (w < first + width) {
      const uint32_t each = 32 / width;
      for (uint32_t i = 0; i < each; ++i)
        word |= (code((w - first) * each + i) >> bit & ((1u << width) - 1)) << (i * width);
      return word;
    }
    first += width;
    bit += width;
  }
  return word;
}

// GPTQModel's Quantizer.find_params: 0 counts.
PRECIS_FUNCTION GroupScale gptq_scale(const GptqEncoding& shape, ValueRange range) {
  const float levels = static_cast<float>((1u << shape.bits) - 1);
  if (shape.symmetric) {
    range.high = -range.low < range.high ? range.high : -range.low;
    if (range.low < 0) range.low = -range.high;
  }
  if (range.low == 0 && range.high == 0) range = {-1, 1};
  const float scale = (range.high - range.low) / levels;
  return {scale, shape.symmetric ? (levels + 1) / 2 : nearest_bounded(-range.low / scale)};
}

// One block of threads for 32 rows of a group, whose codes and zero points share words. Bound by
// memory: a group is read once from it along the rows, and once from cache along the columns.
template <class Element>
__global__ void __launch_bounds__(kGroupThreads)
    quantize_gptq_kernel(PRECIS_PARAMETER GptqEncoding shape, const Element* weight,
                         uint32_t* qweight, uint32_t* qzeros, uint16_t* scales) {
  using Scales = GroupScale[32];
  PRECIS_SHARED(Scales, of_rows);
  const uint32_t group = blockIdx.x, begin = group * shape.group_size, bits = shape.bits;
  const uint32_t left = shape.columns - begin;
  const uint32_t count = left < shape.group_size ? left : shape.group_size;
  const int levels = static_cast<int>((1u << bits) - 1);
  for (uint32_t first_row = 32 * blockIdx.y; first_row < shape.rows; first_row += 32 * gridDim.y) {
    for (uint32_t row = static_cast<uint32_t>(warp()); row < 32; row += kGroupWarps) {
      const Element* values = weight + uint64_t{first_row + row} * shape.columns + begin;
      const ValueRange range =
          warp_range({0, 0}, count, [=](uint32_t i) { return to_float(values[i]); });
      if (lane() == 0) of_rows[row] = gptq_scale(shape, range);
    }
    __syncthreads();
    const uint64_t at = uint64_t{group} * shape.rows + first_row;
    if (threadIdx.x < 32) scales[at + threadIdx.x] = half_bits(of_rows[threadIdx.x].scale);
    if (threadIdx.x < bits) {
      const uint32_t ones = shape.zero_less_one ? ones_of_fields(bits) : 0;
      const uint32_t less = shape.zero_less_one && ones == 0 ? 1 : 0;
      const uint32_t word = packed_word(bits, shape.planar, threadIdx.x, [&](uint32_t i) {
        const uint32_t zero = static_cast<uint32_t>(static_cast<int>(of_rows[i].offset)) & 0xffu;
        return less != 0 ? (zero - 1) & static_cast<uint32_t>(levels) : zero;
      });
      qzeros[at / 32 * bits + threadIdx.x] = word - ones;
    }
    for (uint32_t item = threadIdx.x; item < count * bits; item += kGroupThreads) {
      const uint32_t row = item % 32, word = item / 32, chunk = word / bits;
      const Element* values =
          weight + uint64_t{first_row + row} * shape.columns + begin + 32 * chunk;
      const GroupScale scale = of_rows[row];
      const uint32_t packed =
          packed_word(bits, shape.planar, word % bits, [&](uint32_t i) -> uint32_t {
            const int code = static_cast<int>(nearest_bounded(to_float(values[i]) / scale.scale)) +
                             static_cast<int>(scale.offset);
            return static_cast<uint32_t>(code < 0 ? 0 : code > levels ? levels : code);
          });
      qweight[(uint64_t{begin / 32 * bits} + word) * shape.rows + first_row + row] = packed;
    }
    __syncthreads();
  }
}

template <class Element>
const char* launch_quantize_gptq(const GptqEncoding& shape, const Element* weight,
                                 uint32_t* qweight, uint32_t* qzeros, uint16_t* scales,
                                 void* stream) {
  const uint32_t blocks = shape.rows / 32;
  return PRECIS_LAUNCH((quantize_gptq_kernel<Element>),
                       dim3(shape.groups, blocks < 65535 ? blocks : 65535), dim3(kGroupThreads), 0,
                       stream, shape, weight, qweight, qzeros, scales);
}

}  // namespace precis::kernels::PRECIS_DEVICE
