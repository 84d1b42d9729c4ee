#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/torchao/torchao.h"

namespace precis::kernels {

PRECIS_DISPATCH(AoEncoders, ao_encoders)
PRECIS_DISPATCH_DOT(AoDecoders, ao_decoders)

}  // namespace precis::kernels
