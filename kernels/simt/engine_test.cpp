// The faults that the scheduler must report, and the orders it can run.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "kernels/simt/intrinsics.h"

namespace precis::simt {
namespace {

struct Engine : testing::Test {
  void SetUp() override { options() = Options{}; }
  void TearDown() override { options() = Options{}; }
};

template <class Run>
std::string error_of(Run run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

void write_index(int* out) {
  const unsigned i = (blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x + threadIdx.x;
  out[i] = static_cast<int>(1000 * blockIdx.y + 100 * blockIdx.x + threadIdx.x);
}

TEST_F(Engine, RunsEveryThreadOfEveryBlockOnce) {
  std::vector<int> out(6 * 37, -1);
  launch("write_index", dim3(3, 2), dim3(37), 0, write_index, out.data());
  for (int y = 0, i = 0; y < 2; ++y)
    for (int x = 0; x < 3; ++x)
      for (int t = 0; t < 37; ++t, ++i)
        ASSERT_EQ(out[static_cast<size_t>(i)], 1000 * y + 100 * x + t);
  EXPECT_EQ(last_statistics().blocks, 6u);
  EXPECT_EQ(last_statistics().threads, 6u * 37u);
}

TEST_F(Engine, SeveralWorkersShareTheBlocks) {
  options().workers = 2;
  std::vector<int> out(64 * 32, -1);
  launch("write_index", dim3(64), dim3(32), 0, write_index, out.data());
  EXPECT_EQ(std::count(out.begin(), out.end(), -1), 0);
}

// Adds its thread's number to a list when it runs first, and again after a barrier.
void note_order(std::vector<int>* order) {
  order->push_back(static_cast<int>(threadIdx.x));
  __syncthreads();
  order->push_back(static_cast<int>(threadIdx.x));
}

std::vector<int> order_of(Order order, uint64_t seed = 1) {
  options().order = order;
  options().seed = seed;
  std::vector<int> noted;
  launch("note_order", dim3(1), dim3(64), 0, note_order, &noted);
  return noted;
}

TEST_F(Engine, OrdersDifferAndABarrierHoldsInEach) {
  std::set<std::vector<int>> seen;
  for (const auto& noted : {order_of(Order::forward), order_of(Order::reverse),
                            order_of(Order::random, 1), order_of(Order::random, 2)}) {
    ASSERT_EQ(noted.size(), 128u);
    EXPECT_EQ(std::set<int>(noted.begin(), noted.begin() + 64).size(), 64u);
    seen.insert(noted);
  }
  EXPECT_EQ(seen.size(), 4u);
  EXPECT_EQ(order_of(Order::random, 7), order_of(Order::random, 7));
}

void leave_before_barrier(int* out) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}

TEST_F(Engine, ABarrierAfterAThreadLeftIsAnError) {
  int out[64];
  const std::string error =
      error_of([&] { launch("early", dim3(1), dim3(64), 0, leave_before_barrier, out); });
  EXPECT_NE(error.find("kernel early"), std::string::npos) << error;
  EXPECT_NE(error.find("engine_test.cpp:"), std::string::npos) << error;
  EXPECT_NE(error.find("thread (5,0,0) has left"), std::string::npos) << error;
}

void two_barriers(int* out) {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
    out[0] = 1;
  } else {
    __syncthreads();
    out[1] = 1;
  }
}

TEST_F(Engine, ABarrierReachedAtTwoPlacesIsAnError) {
  int out[2];
  const std::string error =
      error_of([&] { launch("two", dim3(1), dim3(64), 0, two_barriers, out); });
  EXPECT_NE(error.find("two places"), std::string::npos) << error;
}

void barrier_against_warp_operation(int* out) {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    warp_barrier();
  out[0] = 1;
}

TEST_F(Engine, ThreadsThatWaitForEachOtherAreAnError) {
  int out[1];
  const std::string error =
      error_of([&] { launch("stuck", dim3(1), dim3(32), 0, barrier_against_warp_operation, out); });
  EXPECT_NE(error.find("no thread can go on"), std::string::npos) << error;
}

void reverse_through_shared(const int* in, int* out) {
  static const char tag = 0;
  auto& tile = shared_object<int[64]>(&tag, "tile");
  tile[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  out[threadIdx.x] = tile[63 - threadIdx.x];
}

void reverse_without_barrier(const int* in, int* out) {
  static const char tag = 0;
  auto& tile = shared_object<int[64]>(&tag, "tile");
  tile[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = tile[63 - threadIdx.x];
}

TEST_F(Engine, SharedMemoryIsOneForABlockAndPoisoned) {
  std::vector<int> in(64), out(64), wanted(64);
  for (int i = 0; i < 64; ++i) {
    in[static_cast<size_t>(i)] = i;
    wanted[static_cast<size_t>(i)] = 63 - i;
  }
  for (const Order order : {Order::forward, Order::reverse, Order::random}) {
    options().order = order;
    launch("reverse", dim3(1), dim3(64), 0, reverse_through_shared, in.data(), out.data());
    EXPECT_EQ(out, wanted);
    launch("racy", dim3(1), dim3(64), 0, reverse_without_barrier, in.data(), out.data());
    EXPECT_NE(std::count(out.begin(), out.end(), -1), 0) << "reads before the write see 0xff";
  }
}

void use_dynamic_shared(int* out) {
  auto* words = static_cast<int*>(dynamic_shared_storage());
  words[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = words[blockDim.x - 1 - threadIdx.x];
}

TEST_F(Engine, DynamicSharedMemory) {
  std::vector<int> out(32);
  launch("dynamic", dim3(1), dim3(32), 32 * sizeof(int), use_dynamic_shared, out.data());
  EXPECT_EQ(out.front(), 31);
  EXPECT_EQ(out.back(), 0);
}

TEST_F(Engine, ImpossibleLaunchesAreErrors) {
  int out[1];
  const auto error = [&](dim3 grid, dim3 block, size_t shared) {
    return error_of([&] { launch("bad", grid, block, shared, write_index, out); });
  };
  EXPECT_NE(error(dim3(1), dim3(1025), 0), "");
  EXPECT_NE(error(dim3(1), dim3(0), 0), "");
  EXPECT_NE(error(dim3(0), dim3(32), 0), "");
  EXPECT_NE(error(dim3(1, 65536), dim3(32), 0), "");
  EXPECT_NE(error(dim3(1), dim3(32), 228 << 10), "");
}

}  // namespace
}  // namespace precis::simt
