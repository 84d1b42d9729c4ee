#include "core/base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <fstream>

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

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Address space for a few stacks only; the sanitizers need all of it themselves.
TEST(ThreadPool, HasTheThreadsThatTheSystemGives) {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  struct rlimit tight = before;
  tight.rlim_cur = pages * static_cast<uint64_t>(::sysconf(_SC_PAGE_SIZE)) + (uint64_t{64} << 20);
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &tight), 0);
  {
    ThreadPool pool(1000);
    EXPECT_LT(pool.concurrency(), 1000u);
    std::atomic<int> sum{0};
    pool.parallel_for(100, 1,
                      [&](uint64_t begin, uint64_t end) { sum += static_cast<int>(end - begin); });
    EXPECT_EQ(sum.load(), 100);
  }
  ::setrlimit(RLIMIT_AS, &before);
}
#endif

}  // namespace
}  // namespace precis
