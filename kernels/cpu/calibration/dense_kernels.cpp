// Compiled once for each instruction set.
#include <cmath>
#include <cstring>

#include "kernels/cpu/calibration/dense.h"

namespace precis::kernels {
inline namespace PRECIS_ISA {
namespace {

#if defined(__AVX512F__)
constexpr uint64_t kLanes = 16, kTileRows = 12;
#elif defined(__AVX__)
constexpr uint64_t kLanes = 8, kTileRows = 6;
#else
constexpr uint64_t kLanes = 4, kTileRows = 6;
#endif
constexpr uint64_t kTileColumns = 2 * kLanes;
// Rows of b that are packed at once: with kTileColumns of them they stay in the first-level cache.
constexpr uint64_t kDepth = 256;

typedef float Vector __attribute__((vector_size(4 * kLanes)));

Vector load(const float* from) {
  Vector value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

void store(float* to, const Vector& value) {
  std::memcpy(to, &value, sizeof value);
}

// c[rows][kTileColumns] += alpha * a^T b over `depth` rows, b packed.
template <uint64_t rows>
void tile(const float* a, uint64_t a_step, const float* packed, uint64_t depth, float alpha,
          float* c, uint64_t c_step) {
  Vector sums[rows][2] = {};
  for (uint64_t k = 0; k < depth; ++k) {
    const Vector b0 = load(packed + k * kTileColumns),
                 b1 = load(packed + k * kTileColumns + kLanes);
    for (uint64_t i = 0; i < rows; ++i) {
      sums[i][0] += a[k * a_step + i] * b0;
      sums[i][1] += a[k * a_step + i] * b1;
    }
  }
  for (uint64_t i = 0; i < rows; ++i) {
    float* row = c + i * c_step;
    store(row, load(row) + alpha * sums[i][0]);
    store(row + kLanes, load(row + kLanes) + alpha * sums[i][1]);
  }
}

void multiply_edge(const float* a, uint64_t a_step, const float* b, uint64_t b_step, uint64_t m,
                   uint64_t n, uint64_t k, float alpha, float* c, uint64_t c_step) {
  for (uint64_t i = 0; i < m; ++i) {
    for (uint64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (uint64_t p = 0; p < k; ++p) sum += a[p * a_step + i] * b[p * b_step + j];
      c[i * c_step + j] += alpha * sum;
    }
  }
}

void multiply_add(const float* a, uint64_t a_step, const float* b, uint64_t b_step, uint64_t m,
                  uint64_t n, uint64_t k, float alpha, float* c, uint64_t c_step) {
  alignas(64) float packed[kDepth * kTileColumns];
  for (uint64_t begin = 0; begin < k; begin += kDepth) {
    const uint64_t depth = k - begin < kDepth ? k - begin : kDepth;
    const float* a_part = a + begin * a_step;
    uint64_t j = 0;
    for (; j + kTileColumns <= n; j += kTileColumns) {
      for (uint64_t p = 0; p < depth; ++p)
        std::memcpy(packed + p * kTileColumns, b + (begin + p) * b_step + j,
                    kTileColumns * sizeof(float));
      uint64_t i = 0;
      for (; i + kTileRows <= m; i += kTileRows)
        tile<kTileRows>(a_part + i, a_step, packed, depth, alpha, c + i * c_step + j, c_step);
      for (; i + 2 <= m; i += 2)
        tile<2>(a_part + i, a_step, packed, depth, alpha, c + i * c_step + j, c_step);
      for (; i < m; ++i)
        tile<1>(a_part + i, a_step, packed, depth, alpha, c + i * c_step + j, c_step);
    }
    multiply_edge(a_part, a_step, b + begin * b_step + j, b_step, m, n - j, depth, alpha, c + j,
                  c_step);
  }
}

bool factor(float* a, uint64_t step, uint64_t n) {
  for (uint64_t i = 0; i < n; ++i) {
    float* row = a + i * step;
    const float pivot = row[i];
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    const float root = std::sqrt(pivot), inverse = 1 / root;
    row[i] = root;
    for (uint64_t j = i + 1; j < n; ++j) row[j] *= inverse;
    for (uint64_t p = i + 1; p < n; ++p) {
      float* below = a + p * step;
      const float multiple = row[p];
      for (uint64_t j = p; j < n; ++j) below[j] -= multiple * row[j];
    }
  }
  return true;
}

void subtract(float* from, const float* row, float multiple, uint64_t columns) {
  for (uint64_t j = 0; j < columns; ++j) from[j] -= multiple * row[j];
}

void divide(float* row, float by, uint64_t columns) {
  const float inverse = 1 / by;
  for (uint64_t j = 0; j < columns; ++j) row[j] *= inverse;
}

void solve_transposed(const float* r, uint64_t r_step, uint64_t n, float* b, uint64_t b_step,
                      uint64_t columns) {
  for (uint64_t i = 0; i < n; ++i) {
    float* row = b + i * b_step;
    for (uint64_t p = 0; p < i; ++p) subtract(row, b + p * b_step, r[p * r_step + i], columns);
    divide(row, r[i * r_step + i], columns);
  }
}

void solve(const float* r, uint64_t r_step, uint64_t n, float* b, uint64_t b_step,
           uint64_t columns) {
  for (uint64_t i = n; i-- > 0;) {
    float* row = b + i * b_step;
    for (uint64_t p = i + 1; p < n; ++p) subtract(row, b + p * b_step, r[i * r_step + p], columns);
    divide(row, r[i * r_step + i], columns);
  }
}

}  // namespace

const DenseKernels& dense_kernels() {
  static constexpr DenseKernels kernels{multiply_add, factor, solve_transposed, solve};
  return kernels;
}

}  // namespace PRECIS_ISA
}  // namespace precis::kernels
