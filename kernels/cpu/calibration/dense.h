// Products and substitutions of dense float32 matrices: what statistics of activations and solvers
// over them are made of. Matrices are row-major with a leading dimension, in elements.
//
// Bound by the multiply-add units. Sums are float32. All functions are re-entrant; callers split
// the work into tiles.
#pragma once

#include <cstdint>

#include "kernels/cpu/common/isa.h"

namespace precis::kernels {

struct DenseKernels {
  // c[m][n] += alpha * a^T b, a [k][m], b [k][n]: both factors run along their rows, so nothing is
  // gathered.
  void (*multiply_add)(const float* a, uint64_t a_step, const float* b, uint64_t b_step, uint64_t m,
                       uint64_t n, uint64_t k, float alpha, float* c, uint64_t c_step);
  // The upper factor R of a [n][n] = R^T R, in place of the upper triangle; the lower one is left.
  // False: a is not positive definite, or not finite.
  bool (*factor)(float* a, uint64_t step, uint64_t n);
  // b := R^-T b, R upper [n][n], b [n][columns].
  void (*solve_transposed)(const float* r, uint64_t r_step, uint64_t n, float* b, uint64_t b_step,
                           uint64_t columns);
  // b := R^-1 b.
  void (*solve)(const float* r, uint64_t r_step, uint64_t n, float* b, uint64_t b_step,
                uint64_t columns);
};

const DenseKernels& dense_kernels(Isa isa);

}  // namespace precis::kernels
