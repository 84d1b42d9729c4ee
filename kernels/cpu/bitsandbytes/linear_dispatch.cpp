#include "kernels/cpu/bitsandbytes/linear.h"
#include "kernels/cpu/common/dispatch.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(FourBitLinearKernels, four_bit_linear_kernels)

}  // namespace precis::kernels
