// Finding codebooks and codes of a weight by residual k-means and descent.
#pragma once

#include <precis/plugin.hpp>
#include <vector>

#include "kernels/cpu/aqlm/aqlm.h"

namespace precis::aqlm {

// In memory of the caller's.
struct Fit {
  kernels::AqlmShape shape;
  float* points;  // [blocks][block_size]: the blocks over their scales; later what is left of them
  float* scales;  // [out_groups]
  float* codebooks;  // [codebooks][codewords][block_size]
  uint16_t* codes;   // [codebooks][blocks]
};

uint64_t fit_bytes(const kernels::AqlmShape& shape);
Fit fit_in(const kernels::AqlmShape& shape, void* memory);

// Fills scales, codebooks and codes. Codebooks and scales are rounded to `type`, which they are
// stored in. importance: by input group, what the square of an error counts; empty: the same for
// all. Cancels when asked to.
void find_codebooks(const precis_call& call, kernels::WeightType type, const void* weight,
                    const std::vector<double>& importance, Fit& fit);

}  // namespace precis::aqlm
