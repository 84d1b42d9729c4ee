#include "core/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>

namespace precis {
namespace {

TEST(ThreadPool, ParallelForVisitsEveryItemOnce) {
  for (unsigned threads : {1u, 2u, 5u}) {
    ThreadPool pool(threads);
    std::vector<std::atomic<int>> visits(1001);
    pool.parallel_for(visits.size(), 7, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) ++visits[i];
    });
    for (const auto& count : visits) EXPECT_EQ(count.load(), 1);
  }
}

TEST(ThreadPool, ParallelForOfNothingReturnsAtOnce) {
  ThreadPool pool(2);
  pool.parallel_for(0, 0, [](uint64_t, uint64_t) { FAIL(); });
}

TEST(ThreadPool, LoopsNestInsideTasks) {
  ThreadPool pool(3);
  std::atomic<int> done{0};
  std::atomic<int> sum{0};
  for (int task = 0; task < 8; ++task) {
    pool.submit([&] {
      pool.parallel_for(
          100, 3, [&](uint64_t begin, uint64_t end) { sum += static_cast<int>(end - begin); });
      ++done;
      pool.notify();
    });
  }
  pool.help_until([&] { return done.load() == 8; });
  EXPECT_EQ(sum.load(), 800);
}

TEST(ThreadPool, APoolOfOneRunsTasksOnTheWaitingThread) {
  ThreadPool pool(1);
  std::thread::id where;
  pool.submit([&] { where = std::this_thread::get_id(); });
  pool.help_until([&] { return where != std::thread::id{}; });
  EXPECT_EQ(where, std::this_thread::get_id());
}

}  // namespace
}  // namespace precis
