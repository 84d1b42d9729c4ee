#include "kernels/cpu/common/dispatch.h"

#include "kernels/cpu/bitsandbytes/blockwise.h"
#include "kernels/cpu/bitsandbytes/int8.h"

namespace precis::kernels {

PRECIS_DISPATCH(BlockwiseKernels, blockwise_kernels)
PRECIS_DISPATCH_DOT(Int8RowKernels, int8_row_kernels)

}  // namespace precis::kernels
