// What tells the codebook types IQ2 and IQ3 apart, and what a fit finds.
#pragma once

#include "kernels/cpu/gguf/lattice_search.h"
#include "kernels/cpu/gguf/scale_search.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// Which entries are chosen anew at the scale found.
enum class Refine { all, all_if_any_off_lattice, off_lattice };

// What tells the types apart.
struct LatticeRule {
  LatticeName name;
  int group;     // elements that share a scale
  int elements;  // of an entry
  int levels;
  int tries;         // scales tried on either side
  float step;        // between them
  float sigma;       // factor of the block's mean square in the weights
  float negligible;  // a group whose largest value is below gets scale 0
  bool even_signs;   // eight values have an even number of minus signs
  bool searches_first_scale;
  Refine refine;
};

struct LatticeFit {
  float scale = 0;
  uint16_t entries[8] = {};
  uint8_t signs[4] = {};  // a bit each element
};

// Magnitudes of eight values and a mask of those below zero. Where the format has seven bits for
// the signs of eight, the value that costs least takes the other sign: its magnitude is negative.
inline uint8_t split_signs(const float* x, const float* weights, bool even, float* magnitudes) {
  uint32_t signs = 0;
  for (int i = 0; i < 8; ++i) {
    const bool below = !(x[i] >= 0);
    magnitudes[i] = below ? -x[i] : x[i];
    signs |= static_cast<uint32_t>(below) << i;
  }
  if (!even) return static_cast<uint8_t>(signs);
  if (std::popcount(signs) % 2 != 0) {
    int cheapest = 0;
    float least = weights[0] * x[0] * x[0];
    for (int i = 1; i < 8; ++i) {
      const float cost = weights[i] * x[i] * x[i];
      if (cost < least) {
        least = cost;
        cheapest = i;
      }
    }
    magnitudes[cheapest] = -magnitudes[cheapest];
    signs ^= 1u << cheapest;
  }
  return static_cast<uint8_t>(signs & 127);
}

// The level of a magnitude at the inverse scale `inverse`; levels stand for odd numbers.
inline int nearest_level(float magnitude, float inverse, int levels) {
  return clamp_int(nearest_int(0.5f * (inverse * magnitude - 1)), 0, levels - 1);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
