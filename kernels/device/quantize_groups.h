// What the encoders of group-wise integers share.
#pragma once

#include "kernels/device/numbers.h"

namespace precis::kernels::PRECIS_DEVICE {

inline constexpr unsigned kGroupThreads = 256;
inline constexpr uint32_t kGroupWarps = kGroupThreads / kWarp;

// The nearest integer, ties to even, for |value| < 2^22.
PRECIS_FUNCTION float nearest_even(float value) {
  return (value + 12582912.0f) - 12582912.0f;
}

// The same within +-1024, which covers all codes; 0 for NaN.
PRECIS_FUNCTION float nearest_bounded(float value) {
  float bounded = value < -1024.0f ? -1024.0f : value;
  bounded = bounded > 1024.0f ? 1024.0f : bounded;
  return value == value ? nearest_even(bounded) : 0.0f;
}

struct ValueRange {
  float low, high;
};

// Of value(0) ... value(count - 1), known to all lanes of a warp; `range` is what counts besides.
// NaNs are passed over, but for one in `range`.
template <class Value>
PRECIS_FUNCTION ValueRange warp_range(ValueRange range, uint32_t count, Value value) {
  for (uint32_t i = static_cast<uint32_t>(lane()); i < count; i += kWarp) {
    const float x = value(i);
    range.low = x < range.low ? x : range.low;
    range.high = x > range.high ? x : range.high;
  }
  PRECIS_UNROLL
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    const float low = shuffle_xor(range.low, lanes), high = shuffle_xor(range.high, lanes);
    range.low = low < range.low ? low : range.low;
    range.high = high > range.high ? high : range.high;
  }
  return range;
}

// The same where a NaN makes both ends NaN.
template <class Value>
PRECIS_FUNCTION ValueRange warp_range_or_nan(ValueRange range, uint32_t count, Value value) {
  uint32_t nan = 0;
  const ValueRange numbers = warp_range(range, count, [&](uint32_t i) {
    const float x = value(i);
    nan = x == x ? nan : 1;
    return x;
  });
  const float none = bits_as<float>(0x7fc00000u);
  return warp_max(nan) != 0 ? ValueRange{none, none} : numbers;
}

}  // namespace precis::kernels::PRECIS_DEVICE
