// The code of a weight.
#pragma once

#include "kernels/cpu/common/output.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

// NaN for NaN.
inline float hqq_code(float weight, float scale, float zero, float levels) {
  const float exact = weight * scale + zero;
  const float above = exact < -1.0f ? -1.0f : exact;
  const float rounded = round_to_even(above > levels + 1.0f ? levels + 1.0f : above);
  const float positive = rounded < 0.0f ? 0.0f : rounded;
  return positive > levels ? levels : positive;
}

#if PRECIS_LANES > 1
inline Floats hqq_code(Floats weight, Floats scale, Floats zero, float levels) {
  const Floats exact = weight * scale + zero;
  const Floats bounded = min(Floats::of(levels + 1.0f), max(Floats::of(-1.0f), exact));
  return min(Floats::of(levels), max(Floats::of(0), round_to_even(bounded)));
}
#endif

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
