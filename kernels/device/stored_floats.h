// Floats of a stored weight, in the dtype that its checkpoint has them in.
#pragma once

#include "kernels/cpu/common/numbers.h"

namespace precis::kernels {

struct StoredFloats {
  WeightType type;
  const void* data;
};

}  // namespace precis::kernels
