#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/vptq/vptq.h"

namespace precis::kernels {

PRECIS_DISPATCH(VptqKernels, vptq_kernels)

}  // namespace precis::kernels
