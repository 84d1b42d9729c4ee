#include "runtime/threads/openmp_loops.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "core/abi/host.h"

namespace {

const precis_host_threads_v1& threads() {
  const precis_host& host = precis::process_host().abi();
  return *static_cast<const precis_host_threads_v1*>(
      host.get_extension(&host, PRECIS_HOST_THREADS_1));
}

precis_status loop(uint64_t n, uint64_t grain, std::function<void(uint64_t, uint64_t)> body) {
  return threads().parallel_for(
      &precis::process_host().abi(), n, grain,
      [](void* ctx, uint64_t begin, uint64_t end) {
        (*static_cast<std::function<void(uint64_t, uint64_t)>*>(ctx))(begin, end);
      },
      &body);
}

std::size_t thread_count() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

class OpenMpLoops : public testing::Test {
 protected:
  void SetUp() override {
    precis::run_loops_on_openmp();
    ASSERT_NE(precis::process_host().loop_runner(), nullptr) << "LibTorch brings no OpenMP";
  }
};

TEST_F(OpenMpLoops, CoverEveryIndexOnceInPiecesOfTheGrain) {
  for (const uint64_t n : {0u, 1u, 7u, 64u, 1001u}) {
    for (const uint64_t grain : {0u, 1u, 7u, 5000u}) {
      std::vector<std::atomic<int>> seen(n);
      ASSERT_EQ(loop(n, grain,
                     [&](uint64_t begin, uint64_t end) {
                       if (grain != 0 && n > grain) {
                         EXPECT_LE(end - begin, at::get_num_threads() > 1 ? grain : n);
                       }
                       for (uint64_t i = begin; i < end; ++i) ++seen[i];
                     }),
                PRECIS_OK);
      for (const auto& count : seen) ASSERT_EQ(count, 1) << n << " by " << grain;
    }
  }
}

TEST_F(OpenMpLoops, FollowTorchsNumberOfThreads) {
  const int before = at::get_num_threads();
  for (const int count : {1, 3}) {
    at::set_num_threads(count);
    EXPECT_EQ(threads().concurrency(&precis::process_host().abi()), static_cast<uint32_t>(count));
  }
  at::set_num_threads(before);
}

TEST_F(OpenMpLoops, RunOnTheThreadsThatTorchUses) {
  at::set_num_threads(2);
  const at::Tensor x = at::ones({1 << 22});
  x.add(x);
  const std::size_t torchs = thread_count();
  std::mutex mutex;
  std::set<std::thread::id> ids;
  loop(8, 1, [&](uint64_t, uint64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::lock_guard lock(mutex);
    ids.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(ids.size(), 2u);
  EXPECT_EQ(thread_count(), torchs) << "threads were started beside those of torch";
}

TEST_F(OpenMpLoops, NestIntoOneThread) {
  std::atomic<int> sum{0};
  loop(4, 1, [&](uint64_t, uint64_t) {
    loop(10, 1, [&](uint64_t begin, uint64_t end) { sum += static_cast<int>(end - begin); });
  });
  EXPECT_EQ(sum, 40);
}

}  // namespace
