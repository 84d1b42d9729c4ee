// Finding codebooks and codes of vectors without calibration data: residual k-means, then descent
// over one codebook at a time. A vector is the sum of one codeword of each codebook.
#pragma once

#include <precis/plugin.hpp>
#include <vector>

#include "kernels/cpu/common/numbers.h"

namespace precis::plugins {

// In memory of the caller's.
struct AdditiveCodebooks {
  uint64_t vectors, size;           // size: numbers of a vector
  std::vector<uint64_t> codewords;  // of each codebook
  float* points;                    // [vectors][size]; later what is left of them
  float* codebooks;                 // one after the other: [codewords][size]
  uint16_t* codes;                  // [codebooks][vectors]
  // An error of a vector costs its scale squared. [vectors / vectors_per_scale]
  const float* scales;
  uint64_t vectors_per_scale;
};

// Distances of one pass over the codes that are worth waiting for.
inline constexpr uint64_t kMostDistances = uint64_t{1} << 34;

// Fills codebooks, rounded to the `type` they are stored in, and codes. Cancels when asked to.
void find_codebooks(const precis_call& call, kernels::WeightType type, AdditiveCodebooks& fit);

// `value` as a number of `type`.
float rounded(kernels::WeightType type, float value);

}  // namespace precis::plugins
