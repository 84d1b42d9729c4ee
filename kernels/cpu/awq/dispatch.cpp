#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/awq/awq.h"

namespace precis::kernels {

PRECIS_DISPATCH(AwqKernels, awq_kernels)

}  // namespace precis::kernels
