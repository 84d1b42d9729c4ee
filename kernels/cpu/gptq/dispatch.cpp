#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/gptq/gptq.h"

namespace precis::kernels {

PRECIS_DISPATCH(GptqKernels, gptq_kernels)

}  // namespace precis::kernels
