#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/codebooks/codebooks.h"

namespace precis::kernels {

PRECIS_DISPATCH(CodebookKernels, codebook_kernels)

}  // namespace precis::kernels
