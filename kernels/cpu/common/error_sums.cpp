#include "kernels/cpu/common/error_sums.h"

#include "kernels/cpu/common/dispatch.h"

namespace precis::kernels {

PRECIS_DISPATCH(ErrorSumKernels, error_sum_kernels)

}  // namespace precis::kernels
