#include "core/engine/error_stats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

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

}  // namespace
}  // namespace precis
