#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/vptq/linear.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(VptqLinearKernels, vptq_linear_kernels)

}  // namespace precis::kernels
