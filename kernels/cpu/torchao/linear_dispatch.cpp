#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/torchao/linear.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(AoLinearKernels, ao_linear_kernels)

}  // namespace precis::kernels
