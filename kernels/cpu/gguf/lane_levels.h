// Levels of one block in each lane, and what the searches of lane_search.h find.
#pragma once

#include "kernels/cpu/common/lanes.h"
#include "kernels/cpu/gguf/scale_search.h"

#if PRECIS_LANES > 1

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline constexpr float kRoundingRange = 4.0e6f;

// Whether every number of every lane is finite.
template <int N>
inline bool all_finite(const Floats* x) {
  Floats sum = Floats::of(0);
  for (int i = 0; i < N; ++i) sum = sum + x[i] * Floats::of(0);
  return all(sum == Floats::of(0));
}

// scale_search.h's nearest_int, clamped, from 0: the same for every float, NaNs included.
inline Ints clamped_level(Floats value, int low, int high) {
  const Ints rounded =
      (as_ints(value + Floats::of(12582912.0f)) & Ints::of(0x007fffff)) - Ints::of(0x00400000);
  return max(min(rounded, Ints::of(high)), Ints::of(low)) - Ints::of(low);
}

inline Floats level(Floats value, Floats low, Floats high) {
  return max(min(nearest(value), high), low);
}

template <int N>
inline Floats signed_max(const Floats* x) {
  Floats magnitude = Floats::of(0), value = Floats::of(0);
  for (int i = 0; i < N; ++i) {
    const Mask larger = magnitude < abs(x[i]);
    magnitude = select(larger, abs(x[i]), magnitude);
    value = select(larger, x[i], value);
  }
  return value;
}

// What the searches find. The levels of a lane are those of (x - base) * inverse, rounded and
// clamped; they are the lowest ones in a lane without a scale.
struct LaneScales {
  Floats scale, minimum, inverse, base;
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
#endif
