#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/gptq/solver.h"

namespace precis::kernels {

// The widths of kRows lanes, of columns, a block of errors and two for each group, and the codes.
uint64_t gptq_scratch(const GptqShape& shape) {
  return 32 * (sizeof(float) * (shape.columns + 128 + 2 * shape.groups()) + shape.columns);
}

PRECIS_DISPATCH(GptqSolverKernels, gptq_solver_kernels)

}  // namespace precis::kernels
