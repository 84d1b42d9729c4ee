#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/eetq/eetq.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(EetqKernels, eetq_kernels)

}  // namespace precis::kernels
