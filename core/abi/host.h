// The host's side of the ABI: the tables that plugins may ask for.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "core/base/thread_pool.h"
#include "precis/host.h"

namespace precis {

// Threads that are not the pool's, for programs in which another library has its own: two pools on
// the same processors wait for each other. Both functions: [any thread].
struct LoopRunner {
  unsigned (*concurrency)();
  // As ThreadPool::parallel_for.
  void (*run)(uint64_t n, uint64_t grain, const std::function<void(uint64_t, uint64_t)>& fn);
};

// What plugins are handed in precis_plugin_entry.init. Plugins are never unloaded and keep the
// pointer, so a Host lives as long as the process; so does its thread pool.
class Host {
 public:
  // `pool` runs the plugins' parallel_for and outlives the host.
  explicit Host(ThreadPool& pool);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const precis_host& abi() const { return abi_; }
  ThreadPool& pool() const { return pool_; }

  // From now on plugins' loops run on `runner`, which outlives the host; null: on the pool. [any
  // thread]
  void run_loops_on(const LoopRunner* runner) { runner_.store(runner); }
  const LoopRunner* loop_runner() const { return runner_.load(std::memory_order_acquire); }

 private:
  ThreadPool& pool_;
  std::atomic<const LoopRunner*> runner_{nullptr};
  precis_host abi_;
};

// The host of this process, with a pool of `concurrency` threads (0: all processors). Made by the
// first call; later calls return the same one whatever they ask for. Never destroyed.
Host& process_host(unsigned concurrency = 0);

}  // namespace precis
