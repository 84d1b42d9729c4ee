#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/fp8/linear.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(Fp8LinearKernels, fp8_linear_kernels)

}  // namespace precis::kernels
