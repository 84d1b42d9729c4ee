// How many sums the matrix-matrix kernel holds in registers.
#pragma once

#include "kernels/cpu/linear/dot.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace linear {

// Of 32 registers 24 are sums, of 16 twelve; the rest hold a panel's words and the broadcast one.
#if defined(__AVX512F__) || defined(PRECIS_NEON)
inline constexpr int kSums = 24, kPanelVectors = 4;
#else
inline constexpr int kSums = 12, kPanelVectors = 2;
#endif
inline constexpr uint64_t kPanelRows = kPanelVectors * kWidth;

}  // namespace linear
}  // namespace PRECIS_ISA
}  // namespace precis::kernels
