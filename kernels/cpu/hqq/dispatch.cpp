#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/hqq/hqq.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(HqqKernels, hqq_kernels)
PRECIS_DISPATCH(HqqSolver, hqq_solver)

}  // namespace precis::kernels
