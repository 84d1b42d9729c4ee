#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/aqlm/aqlm.h"

namespace precis::kernels {

PRECIS_DISPATCH(AqlmKernels, aqlm_kernels)

}  // namespace precis::kernels
