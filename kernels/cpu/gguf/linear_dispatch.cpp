#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/gguf/linear.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(GgufLinearKernels, gguf_linear_kernels)

}  // namespace precis::kernels
