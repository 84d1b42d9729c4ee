// The searches of scale_search.h for one block in each lane, with the same bits in every lane.
//
// They round with a sum where ggml's nearest_int takes bits out of it; both agree on |values| below
// 2^22. A search returns false when a value of a lane might not be (a NaN, an infinity, a range
// next to overflow): the caller then takes the scalar search.
#pragma once

#include "kernels/cpu/gguf/lane_levels.h"

#if PRECIS_LANES > 1

namespace precis::kernels {
inline namespace PRECIS_ISA {

// search_symmetric. weights null: x squared.
template <int N>
inline bool search_symmetric_lanes(int nmax, const Floats* x, const Floats* weights,
                                   LaneScales& out) {
  if (!all_finite<N>(x)) return false;
  const Floats top = Floats::of(static_cast<float>(nmax)),
               low = Floats::of(static_cast<float>(-nmax)),
               high = Floats::of(static_cast<float>(nmax - 1)), zero = Floats::of(0);
  const Floats largest = signed_max<N>(x);
  const Mask empty = abs(largest) < Floats::of(kGroupMaxEpsilon);
  Floats w[N], wx[N];
  for (int i = 0; i < N; ++i) {
    w[i] = weights != nullptr ? weights[i] : x[i] * x[i];
    wx[i] = w[i] * x[i];
  }
  Floats sumlx, suml2;
  const auto sums = [&](Floats inverse) {
    sumlx = suml2 = zero;
    for (int i = 0; i < N; ++i) {
      const Floats l = level(inverse * x[i], low, high);
      sumlx = sumlx + wx[i] * l;
      suml2 = suml2 + w[i] * l * l;
    }
  };
  Floats best_inverse = (zero - top) / largest;
  sums(best_inverse);
  Floats scale = select(suml2 == zero, zero, sumlx / suml2);
  Floats best = scale * sumlx;
  for (int is = -9; is <= 9; ++is) {
    if (is == 0) continue;
    const Floats inverse =
        Floats::of(-(static_cast<float>(nmax) + 0.1f * static_cast<float>(is))) / largest;
    sums(inverse);
    const Mask better = (zero < suml2) & (best * suml2 < sumlx * sumlx);
    best_inverse = select(better, inverse, best_inverse);
    scale = select(better, sumlx / suml2, scale);
    best = select(better, scale * sumlx, best);
  }
  out = {select(empty, zero, scale), zero, select(empty, Floats::of(1), best_inverse),
         select(empty, Floats::of(kRoundingRange), zero)};
  return true;
}

// search_q3, without its levels.
template <int N>
inline bool search_q3_lanes(int nmax, const Floats* x, Floats& out) {
  if (!all_finite<N>(x)) return false;
  const Floats low = Floats::of(static_cast<float>(-nmax)),
               high = Floats::of(static_cast<float>(nmax - 1)), zero = Floats::of(0);
  const Floats largest = signed_max<N>(x);
  const Mask empty = abs(largest) < Floats::of(kGroupMaxEpsilon);
  const Floats inverse = low / largest;
  Floats w[N], wx[N], levels[N];
  Floats sumlx = zero, suml2 = zero;
  for (int i = 0; i < N; ++i) {
    levels[i] = level(inverse * x[i], low, high);
    w[i] = x[i] * x[i];
    wx[i] = w[i] * x[i];
    sumlx = sumlx + wx[i] * levels[i];
    suml2 = suml2 + w[i] * levels[i] * levels[i];
  }
  for (int attempt = 0; attempt < 5; ++attempt) {
    bool changed = false;
    for (int i = 0; i < N; ++i) {
      const Floats slx = sumlx - wx[i] * levels[i], sl2 = suml2 - w[i] * levels[i] * levels[i];
      const Floats wanted = x[i] * sl2 / slx;
      const Mask live = !(slx <= zero) & !empty;
      // Next to an overflow the scalar rounding wraps around.
      if (any(live & !(abs(wanted) < Floats::of(kRoundingRange)))) return false;
      const Floats l = level(wanted, low, high);
      const Floats new_lx = slx + wx[i] * l, new_l2 = sl2 + w[i] * l * l;
      const Mask better = live & !(l == levels[i]) & (zero < new_l2) &
                          (sumlx * sumlx * new_l2 < new_lx * new_lx * suml2);
      // A branch, not a selection: most often nothing changes, and the next element need not wait.
      if (any(better)) {
        levels[i] = select(better, l, levels[i]);
        sumlx = select(better, new_lx, sumlx);
        suml2 = select(better, new_l2, suml2);
        changed = true;
      }
    }
    if (!changed) break;
  }
  out = select(!empty & (zero < suml2), sumlx / suml2, zero);
  return true;
}

// search_with_minimum. Absolute: errors count by their magnitude, not squared.
template <int N, bool kAbsolute, bool kVariant3>
inline bool search_with_minimum_lanes(int nmax, const Floats* x, const Floats* weights, float rmin,
                                      float rdelta, int nstep, LaneScales& out) {
  if (!all_finite<N>(x)) return false;
  const Floats top = Floats::of(static_cast<float>(nmax)), zero = Floats::of(0);
  Floats lowest = x[0], high = x[0], sum_w = weights[0], sum_x = weights[0] * x[0];
  for (int i = 1; i < N; ++i) {
    lowest = min(x[i], lowest);
    high = max(x[i], high);
    sum_w = sum_w + weights[i];
    sum_x = sum_x + weights[i] * x[i];
  }
  Floats minimum = select(zero < lowest, zero, lowest);
  const Mask constant = kVariant3 ? high <= minimum : high == minimum;
  const Floats constant_minimum = minimum;
  const auto in_range = [&](Floats inverse) {
    const Floats reach = max(abs(high - minimum), abs(lowest - minimum)) * abs(inverse);
    return all(constant | (reach < Floats::of(kRoundingRange)));
  };
  const auto error_of = [&](Floats scale, Floats offset, const Floats* levels) {
    Floats error = zero;
    for (int i = 0; i < N; ++i) {
      const Floats difference = scale * levels[i] + offset - x[i];
      error = error + weights[i] * (kAbsolute ? abs(difference) : difference * difference);
    }
    return error;
  };
  Floats levels[N];
  Floats best_inverse = top / (high - minimum), best_base = minimum;
  if (!in_range(best_inverse)) return false;
  Floats scale = Floats::of(1) / best_inverse;
  for (int i = 0; i < N; ++i) levels[i] = level(best_inverse * (x[i] - minimum), zero, top);
  Floats best = error_of(scale, minimum, levels);
  for (int is = 0; is <= nstep; ++is) {
    const Floats inverse =
        Floats::of(rmin + rdelta * static_cast<float>(is) + static_cast<float>(nmax)) /
        (high - minimum);
    if (!in_range(inverse)) return false;
    Floats sum_l = zero, sum_l2 = zero, sum_xl = zero;
    for (int i = 0; i < N; ++i) {
      const Floats l = level(inverse * (x[i] - minimum), zero, top), wl = weights[i] * l;
      levels[i] = l;
      sum_l = sum_l + wl;
      sum_l2 = sum_l2 + wl * l;
      sum_xl = sum_xl + wl * x[i];
    }
    const Floats determinant = sum_w * sum_l2 - sum_l * sum_l;
    const Floats free_minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    const Mask positive = zero < free_minimum;
    const Floats new_scale = select(positive, sum_xl, sum_w * sum_xl - sum_x * sum_l) /
                             select(positive, sum_l2, determinant);
    const Floats new_minimum = select(positive, zero, free_minimum);
    const Floats error = error_of(new_scale, new_minimum, levels);
    const Mask better = (zero < determinant) & (error < best);
    if (!any(better)) continue;
    best_inverse = select(better, inverse, best_inverse);
    best_base = select(better, minimum, best_base);
    best = select(better, error, best);
    scale = select(better, new_scale, scale);
    minimum = select(better, new_minimum, minimum);
  }
  out = {select(constant, zero, scale),
         Floats::of(-1) * select(constant, constant_minimum, minimum),
         select(constant, zero, best_inverse), select(constant, zero, best_base)};
  return true;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
#endif
