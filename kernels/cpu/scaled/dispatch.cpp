#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/scaled/scaled.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(ScaledKernels, scaled_kernels)

}  // namespace precis::kernels
