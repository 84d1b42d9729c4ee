#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/scaled/linear.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(ScaledLinearKernels, scaled_linear_kernels)

}  // namespace precis::kernels
