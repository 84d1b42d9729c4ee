#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/fp8/fp8.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(Fp8Kernels, fp8_kernels)

}  // namespace precis::kernels
