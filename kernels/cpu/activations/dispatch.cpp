#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/activations/activations.h"

namespace precis::kernels {

PRECIS_DISPATCH(ActivationKernels, activation_kernels)

}  // namespace precis::kernels
