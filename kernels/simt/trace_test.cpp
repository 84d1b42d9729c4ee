// Planted faults that the tracer must name in the plain forward order, and traffic it must count.
#include "kernels/simt/trace.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/simt/simt.h"
#include "kernels/simt/trace_test_kernels.h"

namespace precis::simt {
namespace {

struct Trace : testing::Test {
  void SetUp() override {
    options() = Options{};
    trace_reset();
  }
  std::vector<float> floats = std::vector<float>(64);
  std::vector<int> ints = std::vector<int>(64);
};

TEST_F(Trace, NamesBothPlacesOfARaceBetweenBlocks) {
  run_blocks_collide(ints.data());
  ASSERT_EQ(trace_report().races.size(), 1u);
  const std::string& race = trace_report().races[0];
  EXPECT_NE(race.find("race in collide on global memory"), std::string::npos) << race;
  EXPECT_NE(race.find("block 0 thread 0"), std::string::npos) << race;
  EXPECT_NE(race.find("block 1 thread 0"), std::string::npos) << race;
}

TEST_F(Trace, AtomicsDoNotRaceWithEachOther) {
  run_blocks_add(ints.data());
  EXPECT_EQ(ints[0], 256);
  EXPECT_TRUE(trace_report().races.empty());
}

TEST_F(Trace, AWarpBarrierDoesNotOrderABlock) {
  run_without_block_barrier(floats.data());
  ASSERT_FALSE(trace_report().races.empty());
  EXPECT_NE(trace_report().races[0].find("shared tile+"), std::string::npos);
}

TEST_F(Trace, SharedMemoryUsedAgainBeforeAllHaveRead) {
  run_reuse_without_barrier(floats.data());
  EXPECT_FALSE(trace_report().races.empty());
}

TEST_F(Trace, NothingToSayAboutBarriersInPlace) {
  run_with_barriers(floats.data());
  run_with_warp_barrier(floats.data());
  EXPECT_TRUE(trace_report().races.empty()) << trace_report().races[0];
  EXPECT_TRUE(trace_report().unset.empty()) << trace_report().unset[0];
}

TEST_F(Trace, NeighboursInAWarpNeedAWarpBarrier) {
  run_without_warp_barrier(floats.data());
  EXPECT_FALSE(trace_report().races.empty());
}

TEST_F(Trace, SharedMemoryNobodyWrote) {
  run_reads_unset(floats.data());
  EXPECT_TRUE(trace_report().races.empty());
  EXPECT_EQ(trace_report().unset.size(), 1u);
}

TEST_F(Trace, CountsBankConflicts) {
  run_bank_conflict(floats.data());
  EXPECT_EQ(floats[0], 32.0f);
  double worst = 0;
  for (const Site& site : trace_report().sites)
    if (site.shared && !site.write)
      worst = static_cast<double>(site.bank_cycles) / static_cast<double>(site.requests);
  EXPECT_EQ(worst, 32.0);
}

TEST_F(Trace, CountsSectors) {
  alignas(32) static float in[32 * 8];
  alignas(32) static float out[32];
  run_strided_read(in, out);
  for (const Site& site : trace_report().sites) {
    EXPECT_EQ(site.sectors, site.write ? 4u : 32u);
    EXPECT_EQ(site.least_sectors, 4u);
  }
  EXPECT_EQ(trace_report().global_bytes_read, 1024u);
  EXPECT_EQ(trace_report().global_bytes_written, 128u);
}

}  // namespace
}  // namespace precis::simt
