// Encoding to optimum-quanto's qint4 and qint2, bit for bit as kernels/cpu/quanto.
#pragma once

#include "kernels/device/quantize_float8.h"

namespace precis::kernels::PRECIS_DEVICE {

struct QuantoGroups {
  uint32_t bits, group_size, packed_rows;
  uint64_t groups;
  bool through_tinygemm;
};

// The smallest (Sign 1) or largest (Sign -1) of a group, known to all lanes. Of zeros the first
// counts, since their sign is stored.
template <int Sign, class Element>
PRECIS_FUNCTION float extreme_of_group(const Element* values, uint32_t size) {
  const auto load = [values](uint32_t i) { return Sign * to_float(values[i]); };
  float least = load(0);
  for (uint32_t i = static_cast<uint32_t>(lane()); i < size; i += kWarp) {
    const float x = load(i);
    least = x < least ? x : least;
  }
  PRECIS_UNROLL
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    const float other = shuffle_xor(least, lanes);
    least = other < least ? other : least;
  }
  if (least != 0) return Sign * least;
  uint32_t first = size;
  for (uint32_t i = static_cast<uint32_t>(lane()); i < size; i += kWarp)
    if (first == size && load(i) == 0) first = i;
  const uint32_t winner = size - warp_max(size - first);
  return to_float(values[winner]);
}

template <class Element>
PRECIS_FUNCTION bool group_has_nan(const Element* values, uint32_t size) {
  uint32_t found = 0;
  for (uint32_t i = static_cast<uint32_t>(lane()); i < size; i += kWarp) {
    const float x = to_float(values[i]);
    if (!(x == x)) found = 1;
  }
  return warp_max(found) != 0;
}

// One warp for each packed row, whose bytes hold a code of every packed_rows-th group. Bound by
// memory: a group is read once from it and twice from cache.
template <class Element>
__global__ void __launch_bounds__(kFloat8Threads)
    quantize_quanto_groups_kernel(PRECIS_PARAMETER QuantoGroups shape, const Element* weight,
                                  uint8_t* packed, Element* scales, Element* shifts) {
  constexpr Rounding kType = kRoundingOf<Element>;
  const uint32_t row = blockIdx.x * (kFloat8Threads / kWarp) + static_cast<uint32_t>(warp());
  if (row >= shape.packed_rows) return;
  const uint32_t planes = 8 / shape.bits;
  const float levels = static_cast<float>((1u << shape.bits) - 1);
  float scale[4], shift[4];
  PRECIS_UNROLL
  for (uint32_t plane = 0; plane < 4; ++plane) {
    const uint64_t group = row + uint64_t{plane} * shape.packed_rows;
    scale[plane] = 1;
    shift[plane] = 0;
    if (plane >= planes || group >= shape.groups) continue;
    const Element* values = weight + group * shape.group_size;
    float low = extreme_of_group<1>(values, shape.group_size);
    float high = extreme_of_group<-1>(values, shape.group_size);
    if (group_has_nan(values, shape.group_size)) low = high = bits_as<float>(0x7fc00000u);
    scale[plane] = round_to(kType, round_to(kType, high - low) / levels);
    shift[plane] = -low;
    if (lane() != 0) continue;
    scales[group] = from_float<Element>(scale[plane]);
    float stored = shift[plane];
    if (shape.through_tinygemm) {
      const float half = round_to(kType, 8.0f * scale[plane]);
      stored = half - round_to(kType, -stored + half);
    }
    shifts[group] = from_float<Element>(stored);
  }
  for (uint32_t i = static_cast<uint32_t>(lane()); i < shape.group_size; i += kWarp) {
    uint32_t byte = 0;
    PRECIS_UNROLL
    for (uint32_t plane = 0; plane < 4; ++plane) {
      const uint64_t group = row + uint64_t{plane} * shape.packed_rows;
      if (plane >= planes || group >= shape.groups) continue;
      const float x = to_float(weight[group * shape.group_size + i]);
      const float q = round_to(kType, round_to(kType, x + shift[plane]) / scale[plane]);
      const float code = clamp_between(
          (clamp_between(q, -1.0f, 256.0f) + 12582912.0f) - 12582912.0f, 0.0f, levels);
      byte |= (q == q ? static_cast<uint32_t>(code) : 0u) << (plane * shape.bits);
    }
    packed[uint64_t{row} * shape.group_size + i] = static_cast<uint8_t>(byte);
  }
}

template <class Element>
const char* launch_quantize_quanto_groups(int bits, const Element* weight, uint64_t groups,
                                          uint32_t group_size, bool through_tinygemm,
                                          uint8_t* packed, Element* scales, Element* shifts,
                                          void* stream) {
  const auto planes = static_cast<uint64_t>(8 / bits);
  const auto packed_rows = static_cast<uint32_t>((groups + planes - 1) / planes);
  const QuantoGroups shape{static_cast<uint32_t>(bits), group_size, packed_rows, groups,
                           through_tinygemm};
  constexpr uint32_t kWarps = kFloat8Threads / kWarp;
  return PRECIS_LAUNCH((quantize_quanto_groups_kernel<Element>),
                       dim3((packed_rows + kWarps - 1) / kWarps), dim3(kFloat8Threads), 0, stream,
                       shape, weight, packed, scales, shifts);
}

}  // namespace precis::kernels::PRECIS_DEVICE
