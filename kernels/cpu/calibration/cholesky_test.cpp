#include "kernels/cpu/calibration/cholesky.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu/calibration/dense.h"

namespace precis::kernels {
namespace {

const ParallelFor kInOnePiece = [](uint64_t n, const Pieces& body) { body(0, n); };

std::vector<float> normal_numbers(uint64_t count, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(count);
  for (float& number : numbers) number = normal(engine);
  return numbers;
}

// x^T x + damp I in double, x of `rows` correlated rows.
std::vector<double> second_moments(const std::vector<float>& x, uint64_t rows, uint64_t n,
                                   double damp) {
  std::vector<double> h(n * n, 0);
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t i = 0; i < n; ++i) {
      for (uint64_t j = 0; j < n; ++j) h[i * n + j] += double{x[row * n + i]} * x[row * n + j];
    }
  }
  for (uint64_t i = 0; i < n; ++i) h[i * n + i] += damp;
  return h;
}

class Sizes : public testing::TestWithParam<uint64_t> {};

TEST_P(Sizes, SecondMomentsAreThoseOfDoubleSums) {
  const uint64_t n = GetParam(), rows = 300;
  const auto x = normal_numbers(rows * n, 1);
  const auto expected = second_moments(x, rows, n, 0);
  std::vector<float> h(n * n, 0);
  add_second_moments(x.data(), 100, n, h.data(), kInOnePiece);
  add_second_moments(x.data() + 100 * n, 200, n, h.data(), kInOnePiece);
  mirror_upper(h.data(), n);
  for (uint64_t i = 0; i < n * n; ++i) ASSERT_NEAR(h[i], expected[i], 2e-3) << i;
}

TEST_P(Sizes, TheFactorTimesItsTransposeIsTheInverse) {
  const uint64_t n = GetParam(), rows = 2 * n + 8;
  const auto h = second_moments(normal_numbers(rows * n, 2), rows, n, 1);
  std::vector<float> a(n * n), scratch(inverse_factor_scratch(n));
  for (uint64_t i = 0; i < n; ++i) {
    for (uint64_t j = i; j < n; ++j)
      a[i * n + j] = static_cast<float>(h[(n - 1 - i) * n + (n - 1 - j)]);
  }
  ASSERT_TRUE(inverse_factor(a.data(), n, scratch.data(), kInOnePiece));
  // H U^T U = I, column by column.
  for (uint64_t column = 0; column < n; column += 7) {
    std::vector<double> product(n, 0);
    for (uint64_t i = 0; i < n; ++i) {
      for (uint64_t k = 0; k <= std::min(i, column); ++k)
        product[i] += double{a[k * n + i]} * a[k * n + column];
    }
    for (uint64_t i = 0; i < n; ++i) {
      double sum = 0;
      for (uint64_t j = 0; j < n; ++j) sum += h[i * n + j] * product[j];
      ASSERT_NEAR(sum, i == column ? 1 : 0, 1e-3) << i << ", " << column;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(RaggedAndWhole, Sizes, testing::Values(1, 2, 31, 128, 129, 257, 300));

TEST(InverseFactor, RefusesWhatIsNotPositiveDefinite) {
  std::vector<float> scratch(inverse_factor_scratch(3));
  std::vector<float> zero(9, 0);
  EXPECT_FALSE(inverse_factor(zero.data(), 3, scratch.data(), kInOnePiece));
  std::vector<float> indefinite{1, 2, 0, 2, 1, 0, 0, 0, 1};
  EXPECT_FALSE(inverse_factor(indefinite.data(), 3, scratch.data(), kInOnePiece));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> spoilt{1, 0, 0, 0, nan, 0, 0, 0, 1};
  EXPECT_FALSE(inverse_factor(spoilt.data(), 3, scratch.data(), kInOnePiece));
}

TEST(AllFinite, FindsOneNanAndOneInfinity) {
  std::vector<float> x(1000, 1);
  EXPECT_TRUE(all_finite(x.data(), x.size()));
  x[777] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(all_finite(x.data(), x.size()));
  x[777] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(all_finite(x.data(), x.size()));
}

TEST(DenseKernels, InstructionSetsAgree) {
  const uint64_t m = 29, n = 75, k = 300;
  const auto a = normal_numbers(k * m, 3), b = normal_numbers(k * n, 4);
  std::vector<float> expected(m * n, 1);
  dense_kernels(Isa::baseline)
      .multiply_add(a.data(), m, b.data(), n, m, n, k, -0.5f, expected.data(), n);
  for (const Isa isa : machine_isas()) {
    std::vector<float> c(m * n, 1);
    dense_kernels(isa).multiply_add(a.data(), m, b.data(), n, m, n, k, -0.5f, c.data(), n);
    for (uint64_t i = 0; i < m * n; ++i) ASSERT_NEAR(c[i], expected[i], 1e-3) << isa_name(isa);
  }
}

}  // namespace
}  // namespace precis::kernels
