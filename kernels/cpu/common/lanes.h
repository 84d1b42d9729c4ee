// Arithmetic on one float32 or int32 a lane: 16 lanes with AVX-512, 8 with AVX2 and with NEON.
//
// What works on independent blocks puts one block into each lane: every block then keeps the order
// of operations that a scalar loop has, and with it the same bits. PRECIS_LANES is 1 where there is
// none; sources then take the scalar functions.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define PRECIS_LANES 16
#elif defined(__AVX2__) || defined(PRECIS_NEON)
#define PRECIS_LANES 8
#else
#define PRECIS_LANES 1
#endif

#if PRECIS_LANES == 16
#include "kernels/cpu/common/lines_avx512.h"
#elif defined(PRECIS_NEON)
#include "kernels/cpu/common/lines_neon.h"
#elif PRECIS_LANES == 8
#include "kernels/cpu/common/lines_avx2.h"
#endif
