#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/calibration/dense.h"

namespace precis::kernels {

PRECIS_DISPATCH(DenseKernels, dense_kernels)

}  // namespace precis::kernels
