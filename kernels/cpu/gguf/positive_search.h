// The search for the scale of numbers that are not negative, as ggml's encoders of IQ types do it
// (ggml-quants.c, 2026-08): float32, in exactly this order of operations.
#pragma once

#include "kernels/cpu/gguf/scale_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// make_qp_quants: levels 0 ... nmax of non-negative values. IQ2_XXS hands in negative ones too,
// whose levels ggml lets wrap around in a byte.
inline float search_positive(int n, int nmax, const float* x, uint8_t* L, const float* weights) {
  float max = 0;
  for (int i = 0; i < n; ++i) max = x[i] > max ? x[i] : max;
  if (max < kGroupMaxEpsilon) {
    for (int i = 0; i < n; ++i) L[i] = 0;
    return 0;
  }
  const auto top = static_cast<float>(nmax);
  float iscale = top / max, scale = 1 / iscale, best = 0;
  for (int i = 0; i < n; ++i) {
    L[i] = static_cast<uint8_t>(nearest_int(iscale * x[i]));
    const float diff = x[i] - scale * static_cast<float>(L[i]);
    best += weights[i] * diff * diff;
  }
  for (int is = -4; is <= 4; ++is) {
    if (is == 0) continue;
    const float this_iscale = (0.1f * static_cast<float>(is) + top) / max,
                this_scale = 1 / this_iscale;
    float mse = 0;
    for (int i = 0; i < n; ++i) {
      int l = nearest_int(this_iscale * x[i]);
      l = l < nmax ? l : nmax;
      const float diff = x[i] - this_scale * static_cast<float>(l);
      mse += weights[i] * diff * diff;
    }
    if (mse < best) {
      best = mse;
      iscale = this_iscale;
    }
  }
  float sumlx = 0, suml2 = 0;
  for (int i = 0; i < n; ++i) {
    int l = nearest_int(iscale * x[i]);
    l = l < nmax ? l : nmax;
    L[i] = static_cast<uint8_t>(l);
    const auto lf = static_cast<float>(l);
    sumlx += weights[i] * x[i] * lf;
    suml2 += weights[i] * lf * lf;
  }
  for (int attempt = 0; attempt < 5; ++attempt) {
    int changed = 0;
    for (int i = 0; i < n; ++i) {
      const float w = weights[i];
      const auto old = static_cast<float>(L[i]);
      float slx = sumlx - w * x[i] * old, sl2 = suml2 - w * old * old;
      if (!(slx > 0 && sl2 > 0)) continue;
      int l = nearest_int(x[i] * sl2 / slx);
      l = l < nmax ? l : nmax;
      if (l == L[i]) continue;
      const auto lf = static_cast<float>(l);
      slx += w * x[i] * lf;
      sl2 += w * lf * lf;
      if (slx * slx * suml2 > sumlx * sumlx * sl2) {
        L[i] = static_cast<uint8_t>(l);
        sumlx = slx;
        suml2 = sl2;
        ++changed;
      }
    }
    if (changed == 0) break;
  }
  return suml2 > 0 ? sumlx / suml2 : 0.0f;
}

// Mean square of n values, with the factor ggml has before the division.
inline float mean_square(const float* x, uint64_t n, float factor) {
  float sum = 0;
  for (uint64_t i = 0; i < n; ++i) sum += x[i] * x[i];
  return factor * sum / static_cast<float>(n);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
