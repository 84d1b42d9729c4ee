#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/quanto/linear.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(QuantoLinearKernels, quanto_linear_kernels)

}  // namespace precis::kernels
