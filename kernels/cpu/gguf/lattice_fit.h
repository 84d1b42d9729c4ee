// The fit of a group of values by a scale and entries of a codebook, which the encoders of IQ2 and
// IQ3 share (ggml 0.25, ggml-quants.c): float32, in exactly this order of operations.
#pragma once

#include "kernels/cpu/gguf/lattice_rule.h"
#include "kernels/cpu/gguf/positive_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

template <const LatticeRule& kRule>
class LatticeFitter {
 public:
  LatticeFitter() : grid_(lattice(kRule.name)) {}

  // x, weights: kRule.group values.
  LatticeFit fit(const float* x, const float* weights) {
    LatticeFit fit;
    for (int i = 0; i < kRule.group; ++i) {
      weights_[i] = weights[i];
      root_weights_[i] = std::sqrt(weights[i]);
    }
    uint8_t signs[4] = {};
    for (int k = 0; k < kRule.group / 8; ++k)
      signs[k] = split_signs(x + 8 * k, weights + 8 * k, kRule.even_signs, magnitudes_ + 8 * k);
    float max = magnitudes_[0];
    for (int i = 1; i < kRule.group; ++i) max = max > magnitudes_[i] ? max : magnitudes_[i];
    if (max < kRule.negligible) return fit;
    fit.scale = max / static_cast<float>(2 * kRule.levels - 1);
    if (kRule.searches_first_scale) {
      uint8_t unused[kRule.group];
      fit.scale = search_positive(kRule.group, kRule.levels + 1, magnitudes_, unused, weights_);
      max = fit.scale * static_cast<float>(kRule.levels);
      if (max <= 0) return {};
    }
    try_scales(max, fit);
    if (fit.scale > 0) refine(fit);
    const bool negative = fit.scale < 0;
    fit.scale = negative ? -fit.scale : fit.scale;
    for (int k = 0; k < kRule.group / 8; ++k) {
      const uint32_t mask = kRule.even_signs ? 127 : 255;
      fit.signs[k] = static_cast<uint8_t>((negative ? ~signs[k] : signs[k]) & mask);
    }
    return fit;
  }

 private:
  static constexpr int kTries = 2 * kRule.tries + 1;
  static constexpr int kLanes = (kTries + 7) / 8 * 8;
  static constexpr int kEntries = kRule.group / kRule.elements;
  static constexpr int kBits = kRule.elements == 8 ? 2 : 3;

  uint16_t nearest_entry(int k, float scale, int32_t point) {
    LevelCosts costs;
    const int first = k * kRule.elements;
    costs.set(kRule.elements, magnitudes_ + first, root_weights_ + first, scale, kOddValues);
    return cheapest_neighbour<kRule.elements>(grid_, point, costs);
  }

  const uint8_t* levels_of(uint16_t entry) const {
    return grid_.levels.data() + static_cast<std::size_t>(entry) * kRule.elements;
  }

  // Every scale of a row around the first guess, the best by the least squares that its entries
  // allow. One try a lane, since sums over a group must keep their order.
  void try_scales(float max, LatticeFit& fit) {
    float inverse[kLanes];
    for (int t = 0; t < kLanes; ++t) {
      const int attempt = (t < kTries ? t : 0) - kRule.tries;
      inverse[t] =
          (static_cast<float>(2 * kRule.levels - 1) + static_cast<float>(attempt) * kRule.step) /
          max;
    }
    uint8_t levels[kRule.group][kLanes];
    uint16_t points[kEntries][kLanes] = {};
    for (int i = 0; i < kRule.group; ++i) {
      uint16_t* point = points[i / kRule.elements];
      for (int t = 0; t < kLanes; ++t) {
        const int level = nearest_level(magnitudes_[i], inverse[t], kRule.levels);
        levels[i][t] = static_cast<uint8_t>(level);
        point[t] = static_cast<uint16_t>(point[t] | (level << (kBits * (i % kRule.elements))));
      }
    }
    uint16_t entries[kTries][kEntries];
    uint32_t off[kTries];  // a bit each entry
    for (int t = 0; t < kTries; ++t) {
      off[t] = 0;
      for (int k = 0; k < kEntries; ++k) {
        const int32_t at = grid_.at[points[k][t]];
        if (at >= 0) {
          entries[t][k] = static_cast<uint16_t>(at);
          continue;
        }
        off[t] |= 1u << k;
        entries[t][k] = nearest_entry(k, 1 / inverse[t], at);
        const uint8_t* chosen = levels_of(entries[t][k]);
        for (int e = 0; e < kRule.elements; ++e) levels[k * kRule.elements + e][t] = chosen[e];
      }
    }
    float sumqx[kLanes] = {}, sumq2[kLanes] = {};
    for (int i = 0; i < kRule.group; ++i) {
      const float w = weights_[i], wx = w * magnitudes_[i];
      for (int t = 0; t < kLanes; ++t) {
        const auto q = static_cast<float>(2 * levels[i][t] + 1);
        sumqx[t] += wx * q;
        sumq2[t] += w * q * q;
      }
    }
    float best = 0;
    int chosen = -1;
    for (int t = 0; t < kTries; ++t) {
      if (!(sumq2[t] > 0 && sumqx[t] * sumqx[t] > best * sumq2[t])) continue;
      fit.scale = sumqx[t] / sumq2[t];
      best = fit.scale * sumqx[t];
      chosen = t;
    }
    // No try is better than nothing: the first entry, all of level 0, stays.
    off_lattice_ = kRule.refine == Refine::off_lattice ? 0 : ~0u;
    if (chosen < 0) return;
    for (int k = 0; k < kEntries; ++k) fit.entries[k] = entries[chosen][k];
    off_lattice_ = off[chosen];
  }

  // Entries anew at the scale found, and the scale anew for them.
  void refine(LatticeFit& fit) {
    if (kRule.refine != Refine::all && off_lattice_ == 0) return;
    const float inverse = 1 / fit.scale;
    for (int k = 0; k < kEntries; ++k) {
      if (kRule.refine == Refine::off_lattice && ((off_lattice_ >> k) & 1) == 0) continue;
      uint32_t point = 0;
      for (int e = 0; e < kRule.elements; ++e) {
        const int level = nearest_level(magnitudes_[k * kRule.elements + e], inverse, kRule.levels);
        point |= static_cast<uint32_t>(level) << (kBits * e);
      }
      const int32_t at = grid_.at[point];
      fit.entries[k] = at >= 0 ? static_cast<uint16_t>(at) : nearest_entry(k, fit.scale, at);
    }
    float sumqx = 0, sumq2 = 0;
    for (int i = 0; i < kRule.group; ++i) {
      const uint8_t level = levels_of(fit.entries[i / kRule.elements])[i % kRule.elements];
      const float w = weights_[i];
      const auto q = static_cast<float>(2 * level + 1);
      sumqx += w * magnitudes_[i] * q;
      sumq2 += w * q * q;
    }
    if (sumq2 > 0) fit.scale = sumqx / sumq2;
  }

  const Lattice& grid_;
  float weights_[kRule.group], root_weights_[kRule.group], magnitudes_[kRule.group];
  uint32_t off_lattice_ = 0;  // entries of the best try that stand for points off the lattice
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
