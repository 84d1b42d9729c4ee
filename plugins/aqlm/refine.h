// Codes, codebooks and scales moved to where the errors of the layer's outputs are least.
#pragma once

#include <vector>

#include "plugins/aqlm/fit.h"

namespace precis::aqlm {

// Second moments of the layer's inputs, both triangles, `damping` added to the diagonal.
struct Moments {
  const float* values;  // [columns][columns]
  uint64_t columns;
  double damping;

  float diagonal(uint64_t column) const { return values[column * (columns + 1)]; }
};

// Starts from what find_codebooks left in `fit`. Gives the squared error of the outputs; cancels
// when asked to.
double refine(const precis_call& call, kernels::WeightType type, const void* weight,
              const Moments& moments, Fit& fit);

}  // namespace precis::aqlm
