// Warp operations, asynchronous copies and vector accesses: what they do, and the faults they find.
#include "kernels/simt/intrinsics.h"

#include <gtest/gtest.h>

#include <vector>

namespace precis::simt {
namespace {

// Runs one block of `threads` under each order and gives what the kernel wrote.
template <class Kernel>
std::vector<int> run(int threads, Kernel kernel) {
  std::vector<int> first;
  for (const Order order : {Order::forward, Order::reverse, Order::random}) {
    options() = Options{};
    options().order = order;
    std::vector<int> out(static_cast<size_t>(threads), -1);
    launch("kernel", dim3(1), dim3(static_cast<unsigned>(threads)), 0, kernel, out.data());
    if (order == Order::forward) first = out;
    EXPECT_EQ(out, first);
  }
  return first;
}

template <class Kernel>
std::string error_of(int threads, Kernel kernel) {
  try {
    run(threads, kernel);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

int self() {
  return static_cast<int>(threadIdx.x);
}

TEST(Shuffle, ExchangesWithinEachWarp) {
  const auto out = run(64, [](int* to) { to[self()] = shuffle_xor(~0u, self(), 5); });
  for (int i = 0; i < 64; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], i ^ 5);
}

TEST(Shuffle, StaysWithinTheWidth) {
  const auto down = run(32, [](int* to) { to[self()] = shuffle_down(~0u, self(), 3, 8); });
  for (int i = 0; i < 32; ++i) EXPECT_EQ(down[static_cast<size_t>(i)], i % 8 + 3 < 8 ? i + 3 : i);
  const auto from = run(32, [](int* to) { to[self()] = shuffle_from(~0u, self(), 2, 8); });
  for (int i = 0; i < 32; ++i) EXPECT_EQ(from[static_cast<size_t>(i)], i / 8 * 8 + 2);
}

TEST(Shuffle, ShortLastWarp) {
  const auto out = run(40, [](int* to) { to[self()] = shuffle_xor(~0u, self(), 1); });
  for (int i = 0; i < 40; ++i) EXPECT_EQ(out[static_cast<size_t>(i)], i ^ 1);
}

TEST(Ballot, CountsTheWarpsOwnLanes) {
  const auto out =
      run(64, [](int* to) { to[self()] = static_cast<int>(ballot(~0u, self() % 32 < 3)); });
  for (const int votes : out) EXPECT_EQ(votes, 7);
}

TEST(WarpOperations, ALaneThatLeftIsAnError) {
  const auto error = error_of(32, [](int* to) {
    if (self() == 31) return;
    to[self()] = shuffle_xor(~0u, self(), 1);
  });
  EXPECT_NE(error.find("lane 31, which has left"), std::string::npos) << error;
}

TEST(WarpOperations, DifferentOperationsOfOneWarpAreAnError) {
  const auto error = error_of(32, [](int* to) {
    to[self()] = self() < 16 ? shuffle_xor(~0u, self(), 1) : static_cast<int>(ballot(~0u, true));
  });
  EXPECT_NE(error.find("different operations"), std::string::npos) << error;
}

TEST(WarpOperations, DivergedHalvesWithTheirOwnMasksWork) {
  const auto out = run(32, [](int* to) {
    const uint32_t mask = self() < 16 ? 0xffffu : 0xffff0000u;
    if (self() < 16)
      to[self()] = shuffle_xor(mask, self(), 1);
    else
      to[self()] = shuffle_xor(mask, 100 + self(), 1);
  });
  EXPECT_EQ(out[0], 1);
  EXPECT_EQ(out[16], 117);
}

TEST(WarpOperations, TheCallerAndTheSourceMustBeInTheMask) {
  EXPECT_NE(error_of(32, [](int* to) { to[self()] = shuffle_xor(0xffffu, self(), 1); })
                .find("not in the mask"),
            std::string::npos);
  EXPECT_NE(error_of(32,
                     [](int* to) {
                       if (self() < 16) to[self()] = shuffle_xor(0xffffu, self(), 16);
                     })
                .find("which the mask leaves out"),
            std::string::npos);
}

TEST(WarpCollective, SeesAllLanesOfAWaveOrWarpgroup) {
  for (const int width : {32, 64, 128}) {
    const auto out = run(128, [width](int* to) {
      int value = self();
      warp_collective(
          value, "sum",
          [width](int* const* lanes) {
            int sum = 0;
            for (int lane = 0; lane < width; ++lane) sum += *lanes[lane];
            for (int lane = 0; lane < width; ++lane) *lanes[lane] = sum;
          },
          width);
      to[self()] = value;
    });
    EXPECT_EQ(out[0], width * (width - 1) / 2);
  }
}

struct Staged {
  alignas(16) int words[64];
};

void copy_and_reverse(const int* in, int* out, bool wait) {
  static const char tag = 0;
  auto& staged = shared_object<Staged>(&tag, "staged");
  async_copy(&staged.words[4 * self()], in + 4 * self(), 16, 16);
  async_commit();
  if (wait) async_wait(0);
  __syncthreads();
  out[self()] = staged.words[63 - self()];
  async_wait(0);
}

std::vector<int> reversed(bool wait) {
  options() = Options{};
  alignas(16) int in[64];
  for (int i = 0; i < 64; ++i) in[i] = i;
  std::vector<int> out(16);
  launch("copy", dim3(1), dim3(16), 0, copy_and_reverse, static_cast<const int*>(in), out.data(),
         wait);
  return out;
}

TEST(AsyncCopy, ArrivesWhenItIsWaitedFor) {
  const auto waited = reversed(true);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(waited[static_cast<size_t>(i)], 63 - i);
  // The first thread reads what the last one copied and has not waited for.
  EXPECT_EQ(reversed(false)[0], -1);
}

TEST(AsyncCopy, GroupsArriveInOrderAndFillWithZeros) {
  alignas(16) static const int in[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto out = run(1, [](int* to) {
    static const char tag = 0;
    auto& staged = shared_object<Staged>(&tag, "staged");
    async_copy(&staged.words[0], in, 16, 16);
    async_commit();
    async_copy(&staged.words[4], in + 4, 16, 8);
    async_commit();
    async_wait(1);
    const bool second_is_late = staged.words[4] == -1;
    async_wait(0);
    const bool filled = staged.words[5] == 6 && staged.words[6] == 0 && staged.words[7] == 0;
    to[0] = staged.words[0] == 1 && second_is_late && filled;
  });
  EXPECT_EQ(out[0], 1);
}

TEST(AsyncCopy, LeavingWithoutWaitingIsAnError) {
  alignas(16) static const int in[4] = {};
  const auto error = error_of(1, [](int*) {
    static const char tag = 0;
    auto& staged = shared_object<Staged>(&tag, "staged");
    async_copy(&staged.words[0], in, 16, 16);
  });
  EXPECT_NE(error.find("not waited for"), std::string::npos) << error;
}

TEST(VectorAccess, MisalignmentIsAnError) {
  const auto error = error_of(1, [](int*) {
    alignas(16) int words[8] = {};
    int value[4];
    vector_load(value, words + 1, 16);
  });
  EXPECT_NE(error.find("misaligned"), std::string::npos) << error;
}

}  // namespace
}  // namespace precis::simt
