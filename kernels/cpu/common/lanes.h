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

#if PRECIS_LANES > 1
namespace precis::kernels {
inline namespace PRECIS_ISA {

// How many of 15 rising bounds lie below the value, or at it when kEqual: a NaN lies above all.
template <bool kEqual>
class Ranks15 {
 public:
  explicit Ranks15(const float* bounds) {
    float steps[3][16];
    for (int i = 0; i < 16; ++i) {
      steps[0][i] = bounds[i + 3 < 15 ? i + 3 : 14];
      steps[1][i] = bounds[i + 1 < 15 ? i + 1 : 14];
      steps[2][i] = bounds[i < 15 ? i : 14];
    }
    middle_ = Floats::of(bounds[7]);
    for (int step = 0; step < 3; ++step) steps_[step] = Table16::load(steps[step]);
  }
  Ints operator()(Floats value) const {
    Ints rank = add_where(above(value, middle_), Ints::of(0), Ints::of(8));
    rank = add_where(above(value, steps_[0][rank]), rank, Ints::of(4));
    rank = add_where(above(value, steps_[1][rank]), rank, Ints::of(2));
    return add_where(above(value, steps_[2][rank]), rank, Ints::of(1));
  }

 private:
  static Mask above(Floats value, Floats bound) {
    return kEqual ? not_less(value, bound) : not_less_or_equal(value, bound);
  }
  Floats middle_;
  Table16 steps_[3];
};

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
#endif
