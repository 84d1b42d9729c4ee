// The one thread pool: tasks, and loops that split themselves over idle threads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace precis {

// Runs work on `concurrency` threads, of which the calling thread is one: a pool of one starts no
// thread. All functions but the destructor may be called from any thread, also from inside a task.
class ThreadPool {
 public:
  // concurrency 0: the number of processors this process may use. Where the system gives fewer
  // threads, the pool has those, and says so in the log.
  explicit ThreadPool(unsigned concurrency = 0);
  // Waits for the threads; tasks not yet started are dropped.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned concurrency() const { return static_cast<unsigned>(threads_.size()) + 1; }

  // Queues a task. It must not throw.
  void submit(std::function<void()> task);

  // Works on queued tasks until done() is true. done is evaluated with no lock held, again after
  // every task and every notify().
  void help_until(const std::function<bool()>& done);

  // Wakes the threads that wait in help_until.
  void notify();

  // Calls fn(begin, end) over pieces of [0, n) of `grain` items (0: about four pieces a thread) on
  // this and on idle threads; returns when all are done. fn must not throw. May be nested.
  void parallel_for(uint64_t n, uint64_t grain, const std::function<void(uint64_t, uint64_t)>& fn);

 private:
  void work();
  bool run_one(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// Processors that the scheduler lets this process use; at least 1.
unsigned available_processors();

}  // namespace precis
