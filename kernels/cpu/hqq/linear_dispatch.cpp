#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/hqq/linear.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(HqqLinearKernels, hqq_linear_kernels)

}  // namespace precis::kernels
