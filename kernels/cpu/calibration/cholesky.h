// Second moments of activations, and the triangular factor that solvers over them walk along.
//
// Blocked; work is handed out in tiles through a function of the caller's.
#pragma once

#include <cstdint>
#include <functional>

namespace precis::kernels {

// Calls body(begin, end) over pieces of [0, n), possibly on several threads, and returns when all
// are done.
using Pieces = std::function<void(uint64_t begin, uint64_t end)>;
using ParallelFor = std::function<void(uint64_t n, const Pieces& body)>;

// Whether every number of x is finite.
bool all_finite(const float* x, uint64_t count);

// h += x^T x, x [rows][columns], in the upper triangle of h [columns][columns].
void add_second_moments(const float* x, uint64_t rows, uint64_t columns, float* h,
                        const ParallelFor& parallel_for);

// Copies the upper triangle of a symmetric matrix to the lower one.
void mirror_upper(float* h, uint64_t n);

// The upper triangular U with U^T U = A^-1, in place of a [n][n], which holds the upper triangle of
// A **in reversed order** of rows and columns: a[i][j] = A[n-1-i][n-1-j]. What is below U's
// diagonal is undefined. One factorisation and one triangular inverse, where the textbook takes an
// inverse between two factorisations: the reversed A is R^T R, and U is R^-1 mirrored at the
// anti-diagonal. scratch: inverse_factor_scratch(n) floats. False: A is not positive definite in
// float32, or not finite; a is then spoilt.
bool inverse_factor(float* a, uint64_t n, float* scratch, const ParallelFor& parallel_for);
uint64_t inverse_factor_scratch(uint64_t n);

}  // namespace precis::kernels
