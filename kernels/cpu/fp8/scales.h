// The scales of tiles as they are stored.
#pragma once

#include <bit>

#include "kernels/cpu/common/numbers.h"
#include "kernels/cpu/fp8/fp8.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {

inline float load_fp8_scale(Fp8ScaleType type, const void* scales, uint64_t i) {
  switch (type) {
    case Fp8ScaleType::f32:
      return static_cast<const float*>(scales)[i];
    case Fp8ScaleType::f16:
      return half_to_float(static_cast<const uint16_t*>(scales)[i]);
    case Fp8ScaleType::bf16:
      return bfloat16_to_float(static_cast<const uint16_t*>(scales)[i]);
    case Fp8ScaleType::e8m0:
      break;
  }
  const uint8_t exponent = static_cast<const uint8_t*>(scales)[i];
  if (exponent == 0xff) return std::bit_cast<float>(0x7fc00000u);
  return exponent == 0 ? 0x1p-127f : std::bit_cast<float>(static_cast<uint32_t>(exponent) << 23);
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
