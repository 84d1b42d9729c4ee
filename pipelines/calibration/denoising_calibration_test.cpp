#include "pipelines/calibration/denoising_calibration.h"

#include <gtest/gtest.h>

#include <set>

namespace precis::pipelines {
namespace {

TEST(RecordedSteps, AreDifferentOnesInOrderWithinTheImage) {
  for (std::size_t image = 0; image < 100; ++image) {
    const auto steps = recorded_steps(28, 4, image);
    ASSERT_EQ(steps.size(), 4u);
    EXPECT_GE(steps.front(), 0);
    EXPECT_LT(steps.back(), 28);
    for (std::size_t i = 1; i < steps.size(); ++i) EXPECT_LT(steps[i - 1], steps[i]);
  }
}

TEST(RecordedSteps, OfSeveralImagesCoverTheSchedule) {
  std::set<int64_t> seen;
  for (std::size_t image = 0; image < 12; ++image) {
    for (const int64_t step : recorded_steps(28, 4, image)) seen.insert(step);
  }
  EXPECT_EQ(seen.size(), 28u);
}

TEST(RecordedSteps, AreAllOfAShortSchedule) {
  EXPECT_EQ(recorded_steps(3, 4, 5), (std::vector<int64_t>{0, 1, 2}));
}

}  // namespace
}  // namespace precis::pipelines
