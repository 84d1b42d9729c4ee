#include "kernels/cpu/aqlm/linear.h"
#include "kernels/cpu/common/dispatch.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(AqlmLinearKernels, aqlm_linear_kernels)

}  // namespace precis::kernels
