#include "core/engine/buffer_arena.h"

#include <gtest/gtest.h>

namespace precis {
namespace {

constexpr uint64_t kPage = 4096;

TEST(BufferArena, HandsOutAtMostTheSlots) {
  BufferArena arena(2, 1 << 20);
  auto first = arena.try_take(kPage), second = arena.try_take(kPage);
  ASSERT_TRUE(first->has_value() && second->has_value());
  EXPECT_FALSE(arena.try_take(0)->has_value());
  arena.give_back(std::move(**first));
  EXPECT_TRUE(arena.try_take(kPage)->has_value());
}

TEST(BufferArena, StaysUnderItsCap) {
  BufferArena arena(4, 10 * kPage);
  auto large = arena.try_take(8 * kPage);
  ASSERT_TRUE(large->has_value());
  EXPECT_FALSE(arena.try_take(3 * kPage)->has_value());
  EXPECT_TRUE(arena.try_take(2 * kPage)->has_value());
  EXPECT_EQ(arena.peak(), 10 * kPage);
}

TEST(BufferArena, OneTensorMayExceedTheCapAlone) {
  BufferArena arena(2, kPage);
  auto huge = arena.try_take(100 * kPage);
  ASSERT_TRUE(huge->has_value());
  EXPECT_FALSE(arena.try_take(1)->has_value());
}

TEST(BufferArena, IdleBuffersMakeRoom) {
  BufferArena arena(2, 10 * kPage);
  for (const uint64_t size : {6 * kPage, 8 * kPage, 10 * kPage}) {
    auto buffer = arena.try_take(size);
    ASSERT_TRUE(buffer->has_value());
    arena.give_back(std::move(**buffer));
  }
  EXPECT_EQ(arena.peak(), 10 * kPage);
}

TEST(BufferArena, PredictsThePeakOfALargeTensorBesideSmallOnes) {
  const uint64_t sizes[] = {5 * kPage, 0, 5 * kPage, 0, 20 * kPage, 0, 20 * kPage, 0};
  EXPECT_EQ(BufferArena::predict_peak(sizes, 1, 1 << 30), 20 * kPage);
  EXPECT_EQ(BufferArena::predict_peak(sizes, 2, 1 << 30), 40 * kPage);
  EXPECT_EQ(BufferArena::predict_peak(sizes, 2, 25 * kPage), 25 * kPage);
}

}  // namespace
}  // namespace precis
