// The searches for scales that ggml's encoders share (ggml-quants.c, 2026-08): float32, in exactly
// this order of operations, since the result is part of the format's contract.
#pragma once

#include "kernels/cpu/gguf/block_io.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline constexpr float kGroupMaxEpsilon = 1e-15f;

// The value of largest magnitude, the first of equals.
inline float signed_max(const float* x, int n) {
  float magnitude = 0, value = 0;
  for (int i = 0; i < n; ++i) {
    const float a = std::fabs(x[i]);
    if (a > magnitude) {
      magnitude = a;
      value = x[i];
    }
  }
  return value;
}

// make_qx_quants with rmse_type 1: symmetric levels -nmax ... nmax-1 stored from 0. weights null: x
// squared.
inline float search_symmetric(int n, int nmax, const float* x, int8_t* L, const float* weights) {
  const float max = signed_max(x, n);
  if (std::fabs(max) < kGroupMaxEpsilon) {
    for (int i = 0; i < n; ++i) L[i] = 0;
    return 0;
  }
  float iscale = -static_cast<float>(nmax) / max;
  float sumlx = 0, suml2 = 0;
  for (int i = 0; i < n; ++i) {
    const int l = clamp_int(nearest_int(iscale * x[i]), -nmax, nmax - 1);
    L[i] = static_cast<int8_t>(l + nmax);
    const float w = weights != nullptr ? weights[i] : x[i] * x[i];
    const auto lf = static_cast<float>(l);
    sumlx += w * x[i] * lf;
    suml2 += w * lf * lf;
  }
  float scale = suml2 != 0 ? sumlx / suml2 : 0.0f;
  float best = scale * sumlx;
  for (int is = -9; is <= 9; ++is) {
    if (is == 0) continue;
    iscale = -(static_cast<float>(nmax) + 0.1f * static_cast<float>(is)) / max;
    sumlx = suml2 = 0;
    for (int i = 0; i < n; ++i) {
      const auto lf = static_cast<float>(clamp_int(nearest_int(iscale * x[i]), -nmax, nmax - 1));
      const float w = weights != nullptr ? weights[i] : x[i] * x[i];
      sumlx += w * x[i] * lf;
      suml2 += w * lf * lf;
    }
    if (suml2 > 0 && sumlx * sumlx > best * suml2) {
      for (int i = 0; i < n; ++i)
        L[i] = static_cast<int8_t>(nmax + clamp_int(nearest_int(iscale * x[i]), -nmax, nmax - 1));
      scale = sumlx / suml2;
      best = scale * sumlx;
    }
  }
  return scale;
}

// make_q3_quants with rmse refinement.
inline float search_q3(int n, int nmax, const float* x, int8_t* L) {
  const float max = signed_max(x, n);
  if (std::fabs(max) < kGroupMaxEpsilon) {
    for (int i = 0; i < n; ++i) L[i] = 0;
    return 0;
  }
  const float iscale = -static_cast<float>(nmax) / max;
  float sumlx = 0, suml2 = 0;
  for (int i = 0; i < n; ++i) {
    const int l = clamp_int(nearest_int(iscale * x[i]), -nmax, nmax - 1);
    L[i] = static_cast<int8_t>(l);
    const float w = x[i] * x[i];
    const auto lf = static_cast<float>(l);
    sumlx += w * x[i] * lf;
    suml2 += w * lf * lf;
  }
  for (int attempt = 0; attempt < 5; ++attempt) {
    int changed = 0;
    for (int i = 0; i < n; ++i) {
      const float w = x[i] * x[i];
      const auto old = static_cast<float>(L[i]);
      float slx = sumlx - w * x[i] * old;
      if (slx <= 0) continue;
      float sl2 = suml2 - w * old * old;
      const int l = clamp_int(nearest_int(x[i] * sl2 / slx), -nmax, nmax - 1);
      if (l == L[i]) continue;
      const auto lf = static_cast<float>(l);
      slx += w * x[i] * lf;
      sl2 += w * lf * lf;
      if (sl2 > 0 && slx * slx * suml2 > sumlx * sumlx * sl2) {
        L[i] = static_cast<int8_t>(l);
        sumlx = slx;
        suml2 = sl2;
        ++changed;
      }
    }
    if (changed == 0) break;
  }
  for (int i = 0; i < n; ++i) L[i] = static_cast<int8_t>(L[i] + nmax);
  return suml2 > 0 ? sumlx / suml2 : 0.0f;
}

// make_qkx2_quants (variant3 false) and make_qkx3_quants (true): levels 0 ... nmax with a minimum.
inline float search_with_minimum(int n, int nmax, const float* x, const float* weights, uint8_t* L,
                                 float* the_min, float rmin, float rdelta, int nstep, bool use_mad,
                                 bool variant3) {
  float min = x[0], max = x[0], sum_w = weights[0], sum_x = weights[0] * x[0];
  for (int i = 1; i < n; ++i) {
    if (x[i] < min) min = x[i];
    if (x[i] > max) max = x[i];
    sum_w += weights[i];
    sum_x += weights[i] * x[i];
  }
  if (min > 0) min = 0;
  if (variant3 ? max <= min : max == min) {
    for (int i = 0; i < n; ++i) L[i] = 0;
    *the_min = -min;
    return 0;
  }
  float iscale = static_cast<float>(nmax) / (max - min);
  float scale = 1 / iscale, best = 0;
  for (int i = 0; i < n; ++i) {
    L[i] = static_cast<uint8_t>(clamp_int(nearest_int(iscale * (x[i] - min)), 0, nmax));
    float diff = scale * static_cast<float>(L[i]) + min - x[i];
    diff = use_mad ? std::fabs(diff) : diff * diff;
    best += weights[i] * diff;
  }
  uint8_t candidate[32];
  for (int is = 0; is <= nstep; ++is) {
    iscale = (rmin + rdelta * static_cast<float>(is) + static_cast<float>(nmax)) / (max - min);
    float sum_l = 0, sum_l2 = 0, sum_xl = 0;
    for (int i = 0; i < n; ++i) {
      const int l = clamp_int(nearest_int(iscale * (x[i] - min)), 0, nmax);
      candidate[i] = static_cast<uint8_t>(l);
      const auto lf = static_cast<float>(l);
      const float w = weights[i];
      sum_l += w * lf;
      sum_l2 += w * lf * lf;
      sum_xl += w * lf * x[i];
    }
    const float D = sum_w * sum_l2 - sum_l * sum_l;
    if (!(D > 0)) continue;
    float this_scale = (sum_w * sum_xl - sum_x * sum_l) / D;
    float this_min = (sum_l2 * sum_x - sum_l * sum_xl) / D;
    if (this_min > 0) {
      this_min = 0;
      this_scale = sum_xl / sum_l2;
    }
    float error = 0;
    for (int i = 0; i < n; ++i) {
      float diff = this_scale * static_cast<float>(candidate[i]) + this_min - x[i];
      diff = use_mad ? std::fabs(diff) : diff * diff;
      error += weights[i] * diff;
    }
    if (error < best) {
      for (int i = 0; i < n; ++i) L[i] = candidate[i];
      best = error;
      scale = this_scale;
      min = this_min;
    }
  }
  *the_min = -min;
  return scale;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
