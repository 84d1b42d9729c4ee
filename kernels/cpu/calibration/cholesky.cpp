#include "kernels/cpu/calibration/cholesky.h"

#include <algorithm>
#include <utility>

#include "kernels/cpu/calibration/dense.h"

namespace precis::kernels {
namespace {

// Rows and columns that are worked on together; a block's row panel stays in the second-level
// cache.
constexpr uint64_t kBlock = 128;

const DenseKernels& dense() {
  return dense_kernels(current_isa());
}

uint64_t blocks_of(uint64_t n) {
  return (n + kBlock - 1) / kBlock;
}

// Block number `block` of [0, n): where it begins, and its size.
struct Span {
  Span(uint64_t n, uint64_t block)
      : begin(block * kBlock), size(std::min(kBlock, n - block * kBlock)) {}
  uint64_t begin, size;
};

// Calls body(i, j) for all blocks i <= j < count, from `first` on.
template <typename Body>
void for_upper_blocks(uint64_t first, uint64_t count, const ParallelFor& parallel_for, Body body) {
  if (first >= count) return;
  const uint64_t side = count - first;
  parallel_for(side * (side + 1) / 2, [&](uint64_t begin, uint64_t end) {
    uint64_t row = 0, before = 0;
    for (uint64_t index = begin; index < end; ++index) {
      while (index >= before + side - row) before += side - row++;
      body(first + row, first + row + index - before);
    }
  });
}

// a = R^T R, R in the upper triangle.
bool factor_blocked(float* a, uint64_t n, const ParallelFor& parallel_for) {
  const uint64_t count = blocks_of(n);
  for (uint64_t k = 0; k < count; ++k) {
    const Span pivot(n, k);
    float* diagonal = a + pivot.begin * n + pivot.begin;
    if (!dense().factor(diagonal, n, pivot.size)) return false;
    parallel_for(count - k - 1, [&](uint64_t begin, uint64_t end) {
      for (uint64_t block = begin; block < end; ++block) {
        const Span right(n, k + 1 + block);
        dense().solve_transposed(diagonal, n, pivot.size, a + pivot.begin * n + right.begin, n,
                                 right.size);
      }
    });
    for_upper_blocks(k + 1, count, parallel_for, [&](uint64_t i, uint64_t j) {
      const Span rows(n, i), columns(n, j);
      const float* panel = a + pivot.begin * n;
      dense().multiply_add(panel + rows.begin, n, panel + columns.begin, n, rows.size, columns.size,
                           pivot.size, -1, a + rows.begin * n + columns.begin, n);
    });
  }
  return true;
}

// R^-1 in place of R, from the last block row up: R_ii X = -(sum of R_ip X_p), X_ii = R_ii^-1.
// panel: [n][kBlock], the block row of R transposed.
void invert_upper(float* r, uint64_t n, float* panel, const ParallelFor& parallel_for) {
  const uint64_t count = blocks_of(n);
  for (uint64_t i = count; i-- > 0;) {
    const Span rows(n, i);
    for (uint64_t p = rows.begin; p < n; ++p) {
      for (uint64_t row = 0; row < rows.size; ++row)
        panel[p * kBlock + row] = r[(rows.begin + row) * n + p];
    }
    // The diagonal block apart from the others: R_ii as a matrix of its own.
    float diagonal[kBlock * kBlock];
    for (uint64_t row = 0; row < rows.size; ++row)
      std::copy_n(r + (rows.begin + row) * n + rows.begin, rows.size, diagonal + row * kBlock);
    parallel_for(count - i, [&](uint64_t begin, uint64_t end) {
      for (uint64_t block = begin; block < end; ++block) {
        const Span columns(n, i + block);
        float* x = r + rows.begin * n + columns.begin;
        for (uint64_t row = 0; row < rows.size; ++row) {
          std::fill_n(x + row * n, columns.size, 0.0f);
          if (block == 0) x[row * n + row] = 1;
        }
        const uint64_t first = rows.begin + rows.size, last = columns.begin + columns.size;
        if (block > 0) {
          dense().multiply_add(panel + first * kBlock, kBlock, r + first * n + columns.begin, n,
                               rows.size, columns.size, last - first, -1, x, n);
        }
        dense().solve(diagonal, kBlock, rows.size, x, n, columns.size);
      }
    });
  }
}

}  // namespace

bool all_finite(const float* x, uint64_t count) {
  // A sum of products with zero is NaN as soon as one factor is not finite.
  float spoilt = 0;
  for (uint64_t i = 0; i < count; ++i) spoilt += x[i] * 0.0f;
  return spoilt == 0;
}

void add_second_moments(const float* x, uint64_t rows, uint64_t columns, float* h,
                        const ParallelFor& parallel_for) {
  for_upper_blocks(0, blocks_of(columns), parallel_for, [&](uint64_t i, uint64_t j) {
    const Span left(columns, i), right(columns, j);
    dense().multiply_add(x + left.begin, columns, x + right.begin, columns, left.size, right.size,
                         rows, 1, h + left.begin * columns + right.begin, columns);
  });
}

void mirror_upper(float* h, uint64_t n) {
  for (uint64_t i = 0; i < n; ++i) {
    for (uint64_t j = i + 1; j < n; ++j) h[j * n + i] = h[i * n + j];
  }
}

uint64_t inverse_factor_scratch(uint64_t n) {
  return n * kBlock;
}

bool inverse_factor(float* a, uint64_t n, float* scratch, const ParallelFor& parallel_for) {
  if (!factor_blocked(a, n, parallel_for)) return false;
  invert_upper(a, n, scratch, parallel_for);
  for (uint64_t i = 0; i < n; ++i) {
    for (uint64_t j = i; j < n - 1 - i; ++j)
      std::swap(a[i * n + j], a[(n - 1 - j) * n + (n - 1 - i)]);
  }
  return true;
}

}  // namespace precis::kernels
