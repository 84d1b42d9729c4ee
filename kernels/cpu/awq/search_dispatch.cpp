#include "kernels/cpu/awq/search.h"
#include "kernels/cpu/common/dispatch.h"

namespace precis::kernels {

// Three matrices [columns][kAwqSearchRows] of float32.
uint64_t awq_search_scratch(const AwqShape& shape) {
  return 3 * shape.columns * kAwqSearchRows * sizeof(float);
}

PRECIS_DISPATCH(AwqSearchKernels, awq_search_kernels)

}  // namespace precis::kernels
