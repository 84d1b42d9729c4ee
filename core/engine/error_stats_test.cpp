#include "core/engine/error_stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
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

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(ErrorStats, AFiniteWeightThatDecodesToNanOrInfinityIsAnInfiniteError) {
  for (const float lost : {kNan, kInf, -kInf}) {
    std::vector<float> w(5000, 1.0f), d = w;
    d[100] = lost;
    ErrorStats stats;
    stats.add(w, d);
    EXPECT_EQ(stats.nonfinite_decoded, 1u);
    EXPECT_EQ(stats.elements, 4999u);
    EXPECT_EQ(stats.relative_error(), kInf);
    EXPECT_EQ(stats.max_error(), kInf);
    EXPECT_EQ(stats.snr_db(), -kInf);
    EXPECT_FALSE(stats.equal());
  }
}

TEST(ErrorStats, WhatIsNotFiniteInBothAlikeIsNoError) {
  std::vector<float> w(5000, 1.0f), d = w;
  w[17] = d[17] = kNan;
  w[4998] = d[4998] = kInf;
  w[4999] = d[4999] = -kInf;
  ErrorStats stats;
  stats.add(w, d);
  EXPECT_EQ(stats.nonfinite_original, 3u);
  EXPECT_EQ(stats.elements, 4997u);
  EXPECT_EQ(stats.relative_error(), 0);
  EXPECT_EQ(stats.max_error(), 0);
  EXPECT_TRUE(stats.equal());
}

TEST(ErrorStats, ANanOrInfinityThatDecodesToSomethingElseIsAnInfiniteError) {
  const std::pair<float, float> pairs[] = {
      {kNan, 0}, {kNan, kInf}, {kInf, kNan}, {kInf, -kInf}, {-kInf, 1e38f}};
  for (const auto& [original, decoded] : pairs) {
    ErrorStats stats, total;
    stats.add(std::vector{1.0f, original}, std::vector{1.0f, decoded});
    total.add(stats);
    EXPECT_EQ(total.nonfinite_changed, 1u);
    EXPECT_EQ(total.nonfinite_decoded, 0u);
    EXPECT_EQ(total.relative_error(), kInf) << original << " -> " << decoded;
    EXPECT_FALSE(total.equal());
  }
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
