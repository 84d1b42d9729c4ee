// HQQ's fit of scales and zero points and its packing, bit for bit as kernels/cpu/hqq: of groups
// that are rows of the grouped matrix, in multiples of 8.
#pragma once

#include "kernels/cpu/hqq/hqq.h"
#include "kernels/device/quantize_groups.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr uint32_t kHqqLanes = 8;  // that a group's sums are made of, as on the CPU

// Whether the fit goes on, and whether its bits are those of the CPU.
struct HqqState {
  float least_error;
  uint32_t done;
  uint32_t beyond;  // an error is so large that the proximal operator takes a power of it
};
inline constexpr float kHqqNothingLeft = 0.17f;  // below it the operator gives 0

struct HqqFit {
  uint32_t groups, columns;  // of the grouped matrix
  uint32_t together;         // groups whose errors are summed one after another
  float levels;
  bool round_zero;
  float *scales, *zeros;
  double* errors;  // of each `together` groups; NaN where one is beyond kHqqNothingLeft
  HqqState* state;
};

PRECIS_FUNCTION float hqq_code(float weight, float scale, float zero, float levels) {
  const float exact = weight * scale + zero;
  const float above = exact < -1.0f ? -1.0f : exact;
  const float rounded = nearest_even(above > levels + 1.0f ? levels + 1.0f : above);
  const float positive = rounded < 0.0f ? 0.0f : rounded;
  return positive > levels ? levels : positive;
}

// Of eight neighbouring lanes, in the CPU's order.
PRECIS_FUNCTION double sum_of_lanes(double sum) {
  PRECIS_UNROLL
  for (int lanes = 1; lanes < static_cast<int>(kHqqLanes); lanes *= 2) {
    const auto mine = bits_as<Words2>(sum);
    const Words2 other{{shuffle_xor(mine.words[0], lanes), shuffle_xor(mine.words[1], lanes)}};
    sum += bits_as<double>(other);
  }
  return sum;
}

// To the nearest whole number, ties to even, with the number's sign.
PRECIS_FUNCTION float whole_number(float value) {
  constexpr float kAllWhole = 8388608.0f;
  const float magnitude = value < 0 ? -value : value;
  if (!(magnitude < kAllWhole)) return value;
  const float whole = (magnitude + kAllWhole) - kAllWhole;
  return bits_as<float>(bits_as<uint32_t>(whole) | (bits_as<uint32_t>(value) & 0x80000000u));
}

// From each group's minimum and maximum, the first of equals; a NaN wins. Eight lanes a group.
template <class Element>
__global__ void __launch_bounds__(kGroupThreads)
    hqq_start_kernel(PRECIS_PARAMETER HqqFit fit, const Element* weight) {
  const uint32_t thread = blockIdx.x * kGroupThreads + threadIdx.x;
  if (thread == 0) *fit.state = {bits_as<float>(0x7f800000u), 0, 0};
  const uint32_t found = thread / kHqqLanes, group = found < fit.groups ? found : fit.groups - 1;
  const Element* values = weight + uint64_t{group} * fit.columns;
  uint32_t low_at = thread % kHqqLanes, high_at = low_at, nan = 0;
  float low = to_float(values[low_at]), high = low;
  for (uint32_t i = low_at; i < fit.columns; i += kHqqLanes) {
    const float value = to_float(values[i]);
    nan = value == value ? nan : 1;
    low_at = value < low ? i : low_at;
    low = value < low ? value : low;
    high_at = value > high ? i : high_at;
    high = value > high ? value : high;
  }
  PRECIS_UNROLL
  for (int lanes = 1; lanes < static_cast<int>(kHqqLanes); lanes *= 2) {
    const float other_low = shuffle_xor(low, lanes), other_high = shuffle_xor(high, lanes);
    const uint32_t other_low_at = shuffle_xor(low_at, lanes);
    const uint32_t other_high_at = shuffle_xor(high_at, lanes), other_nan = shuffle_xor(nan, lanes);
    const bool lower = other_low < low || (other_low == low && other_low_at < low_at);
    const bool higher = other_high > high || (other_high == high && other_high_at < high_at);
    low = lower ? other_low : low;
    low_at = lower ? other_low_at : low_at;
    high = higher ? other_high : high;
    high_at = higher ? other_high_at : high_at;
    nan |= other_nan;
  }
  if (thread % kHqqLanes != 0 || found >= fit.groups) return;
  if (nan != 0) low = high = bits_as<float>(0x7fc00000u);
  const float extent = high - low;
  float scale = (1.0f / extent) * fit.levels;
  if ((extent < 0 ? -extent : extent) <= 1e-4f) scale = 1.0f;
  if (scale > 2e4f) scale = 2e4f;
  const float offset = -low * scale;
  fit.scales[group] = scale;
  fit.zeros[group] = fit.round_zero ? whole_number(offset) : offset;
}

// The errors of the present zero points: eight lanes for `together` groups, whose errors are added
// one after another. Bound by the latency of those sums. Four blocks on a multiprocessor: for more
// of them ptxas would spill.
template <class Element>
__global__ void __launch_bounds__(kGroupThreads, 4)
    hqq_errors_kernel(PRECIS_PARAMETER HqqFit fit, const Element* weight, uint32_t tasks) {
  const uint32_t thread = blockIdx.x * kGroupThreads + threadIdx.x;
  const uint32_t found = thread / kHqqLanes, task = found < tasks ? found : tasks - 1;
  if (fit.state->done != 0) return;
  const uint32_t begin = task * fit.together;
  const uint32_t end = fit.groups - begin < fit.together ? fit.groups : begin + fit.together;
  double sum = 0;
  uint32_t beyond = 0;
  for (uint32_t group = begin; group < end; ++group) {
    const float scale = fit.scales[group], zero = fit.zeros[group];
    const Element* values = weight + uint64_t{group} * fit.columns;
    for (uint32_t i = thread % kHqqLanes; i < fit.columns; i += kHqqLanes) {
      const float value = to_float(values[i]);
      const float error = value - (hqq_code(value, scale, zero, fit.levels) - zero) / scale;
      const float magnitude = error < 0 ? -error : error;
      beyond = magnitude < kHqqNothingLeft ? beyond : 1;
      sum += static_cast<double>(magnitude);
    }
  }
  sum = sum_of_lanes(sum);
  PRECIS_UNROLL
  for (int lanes = 1; lanes < static_cast<int>(kHqqLanes); lanes *= 2)
    beyond |= shuffle_xor(beyond, lanes);
  if (thread % kHqqLanes == 0 && found < tasks)
    fit.errors[task] = beyond != 0 ? static_cast<double>(bits_as<float>(0x7fc00000u)) : sum;
}

// The zero points that each group's elements ask for, on the mean. Eight lanes a group.
template <class Element>
__global__ void __launch_bounds__(kGroupThreads)
    hqq_zeros_kernel(PRECIS_PARAMETER HqqFit fit, const Element* weight) {
  const uint32_t thread = blockIdx.x * kGroupThreads + threadIdx.x;
  const uint32_t found = thread / kHqqLanes, group = found < fit.groups ? found : fit.groups - 1;
  if (fit.state->done != 0) return;
  const float scale = fit.scales[group], zero = fit.zeros[group];
  const Element* values = weight + uint64_t{group} * fit.columns;
  double sum = 0;
  for (uint32_t i = thread % kHqqLanes; i < fit.columns; i += kHqqLanes) {
    const float value = to_float(values[i]);
    sum += static_cast<double>(hqq_code(value, scale, zero, fit.levels) - value * scale);
  }
  sum = sum_of_lanes(sum);
  warp_barrier();  // the zero point has been read
  if (thread % kHqqLanes == 0 && found < fit.groups)
    fit.zeros[group] = static_cast<float>(sum / static_cast<double>(fit.columns));
}

// One thread: the fit is over when the mean error no longer falls.
template <class Element>
__global__ void __launch_bounds__(kWarp)
    hqq_decide_kernel(PRECIS_PARAMETER HqqFit fit, const Element*, uint32_t tasks) {
  if (threadIdx.x != 0 || fit.state->done != 0) return;
  double sum = 0;
  for (uint32_t task = 0; task < tasks; ++task) sum += fit.errors[task];
  const auto mean = static_cast<float>(
      sum / (static_cast<double>(fit.groups) * static_cast<double>(fit.columns)));
  if (sum != sum) fit.state->beyond = 1;
  if (mean < fit.state->least_error)
    fit.state->least_error = mean;
  else
    fit.state->done = 1;
}

// As stored: what codes are multiplied by, and the zero points.
template <class Element>
__global__ void __launch_bounds__(kGroupThreads)
    hqq_store_kernel(PRECIS_PARAMETER HqqFit fit, Element* scales, Element* zeros) {
  const uint32_t group = blockIdx.x * kGroupThreads + threadIdx.x;
  if (group >= fit.groups) return;
  scales[group] = from_float<Element>(1.0f / fit.scales[group]);
  zeros[group] = from_float<Element>(fit.zeros[group]);
}

// One thread for each word, whose codes are of rows that lie packed_rows apart.
template <class Word, class Element>
__global__ void __launch_bounds__(kGroupThreads)
    hqq_pack_kernel(PRECIS_PARAMETER HqqFit fit, const Element* weight, uint32_t packed_rows,
                    uint32_t pieces, uint32_t bits, Word* words) {
  const uint64_t i = uint64_t{blockIdx.x} * kGroupThreads + threadIdx.x;
  if (i >= uint64_t{packed_rows} * fit.columns) return;
  const auto packed_row = static_cast<uint32_t>(i / fit.columns);
  uint32_t word = 0;
  for (uint32_t piece = 0; piece < pieces; ++piece) {
    const uint32_t group = piece * packed_rows + packed_row;
    if (group >= fit.groups) break;
    const float value = to_float(weight[i + uint64_t{piece} * packed_rows * fit.columns]);
    const float code = hqq_code(value, fit.scales[group], fit.zeros[group], fit.levels);
    word |= static_cast<uint32_t>(code == code ? code : 0.0f) << (bits * (pieces - 1 - piece));
  }
  words[i] = static_cast<Word>(word);
}

}  // namespace precis::kernels::PRECIS_DEVICE
