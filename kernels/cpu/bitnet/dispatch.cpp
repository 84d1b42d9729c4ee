#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/bitnet/bitnet.h"

namespace precis::kernels {

PRECIS_DISPATCH(BitNetKernels, bitnet_kernels)

}  // namespace precis::kernels
