#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/groups/byte_rows.h"
#include "kernels/cpu/groups/group_rows.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(ByteRowsKernels, byte_rows_kernels)
PRECIS_DISPATCH_DOT(GroupRowsKernels, group_rows_kernels)

}  // namespace precis::kernels
