#include "core/engine/error_stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/engine/logical_tensor.h"

namespace precis {
namespace {

TEST(ErrorStats, EqualArraysHaveNoError) {
  const std::vector<float> w(1000, 0.5f);
  ErrorStats stats;
  stats.add(w, w);
  EXPECT_EQ(stats.relative_error(), 0);
  EXPECT_EQ(stats.snr_db(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(stats.elements, 1000u);
}

TEST(ErrorStats, IsTheRatioOfTheNorms) {
  const std::vector<float> w{3, 4}, d{3, 4.5f};
  ErrorStats stats;
  stats.add(w, d);
  EXPECT_DOUBLE_EQ(stats.relative_error(), 0.1);
  EXPECT_DOUBLE_EQ(stats.max_absolute_error, 0.5);
  EXPECT_NEAR(stats.snr_db(), 20, 1e-9);
}

TEST(ErrorStats, WhatIsNotFiniteIsCountedAndLeftOut) {
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  std::vector<float> w(5000, 1.0f), d = w;
  w[17] = nan;
  w[4999] = infinity;
  d[100] = nan;
  ErrorStats stats;
  stats.add(w, d);
  EXPECT_EQ(stats.nonfinite_original, 2u);
  EXPECT_EQ(stats.nonfinite_decoded, 1u);
  EXPECT_EQ(stats.elements, 4997u);
  EXPECT_EQ(stats.relative_error(), 0);
}

// The kernel's sums in float32 against double, in every number type and in sizes that do not fill
// its lanes.
TEST(ErrorStats, AreThoseOfDoubleInEveryNumberType) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const std::size_t count : {1u, 31u, 4096u, 70001u}) {
      std::vector<std::byte> stored(count * 4);
      std::vector<float> original(count), decoded(count);
      for (std::size_t i = 0; i < count; ++i)
        original[i] = 0.02f * std::sin(static_cast<float>(i) * 1.7f) + 1e-4f;
      ASSERT_TRUE(convert_from_float(original.data(), count, dtype, stored.data()));
      ASSERT_TRUE(convert_to_float(dtype, stored.data(), count, original.data()));
      double error = 0, square = 0, largest = 0;
      for (std::size_t i = 0; i < count; ++i) {
        decoded[i] = original[i] * (i % 3 == 0 ? 1.05f : 0.97f);
        const double difference = static_cast<double>(original[i]) - decoded[i];
        error += difference * difference;
        square += static_cast<double>(original[i]) * original[i];
        largest = std::max(largest, std::fabs(difference));
      }
      ErrorStats stats;
      stats.add(dtype, std::span(stored).first(count * dtype_bits(dtype) / 8), decoded);
      EXPECT_EQ(stats.elements, count);
      EXPECT_NEAR(stats.sum_squared_error / error, 1, 1e-5);
      EXPECT_NEAR(stats.sum_squared_original / square, 1, 1e-5);
      EXPECT_NEAR(stats.max_absolute_error / largest, 1, 1e-6);
    }
  }
}

TEST(ErrorStats, HoldNumbersWhoseSquaresFloatDoesNot) {
  const std::vector<float> large(5000, 1e25f), small(5000, 1e-25f);
  ErrorStats stats;
  stats.add(large, std::vector<float>(5000, 1.1e25f));
  EXPECT_NEAR(stats.relative_error(), 0.1, 1e-6);
  stats = {};
  stats.add(small, std::vector<float>(5000, 1.1e-25f));
  EXPECT_NEAR(stats.relative_error(), 0.1, 1e-6);
}

}  // namespace
}  // namespace precis
