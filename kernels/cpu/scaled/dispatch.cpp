#include "kernels/cpu/common/dispatch.h"
#include "kernels/cpu/scaled/scaled.h"

namespace precis::kernels {

PRECIS_DISPATCH_DOT(ScaledKernels, scaled_kernels)

uint64_t NarrowRows::row_bytes() const {
  const auto width = static_cast<uint64_t>(bits);
  switch (type) {
    case NarrowType::packed_int:
      return padded ? (columns + 32 / width - 1) / (32 / width) * 4
                    : (columns * width + 31) / 32 * 4;
    case NarrowType::float6_e2m3:
      return (columns * 3 + 3) / 4;
    case NarrowType::float4_e2m1:
      return (columns + 1) / 2;
    case NarrowType::int8:
    case NarrowType::float8_e4m3fn:
    case NarrowType::int4_row_pairs:
      break;
  }
  return columns;
}

}  // namespace precis::kernels
