#include "core/base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <system_error>

#include "core/base/log.h"

namespace precis {

unsigned available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

ThreadPool::ThreadPool(unsigned concurrency) {
  const unsigned total = concurrency == 0 ? available_processors() : concurrency;
  try {
    for (unsigned i = 1; i < total; ++i) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    logger().warn("the system gives {} threads, {} were asked for: {}", this->concurrency(), total,
                  error.what());
  }
}

ThreadPool::~ThreadPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::submit(std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

bool ThreadPool::run_one(std::unique_lock<std::mutex>& lock) {
  if (tasks_.empty()) return false;
  std::function<void()> task = std::move(tasks_.front());
  tasks_.pop_front();
  lock.unlock();
  task();
  lock.lock();
  return true;
}

void ThreadPool::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    run_one(lock);
  }
}

void ThreadPool::help_until(const std::function<bool()>& done) {
  std::unique_lock lock(mutex_);
  while (true) {
    lock.unlock();
    const bool finished = done();
    lock.lock();
    if (finished) return;
    // A short wait covers a state that changed between done() and taking the lock.
    if (!run_one(lock)) changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
}

void ThreadPool::notify() {
  changed_.notify_all();
}

void ThreadPool::parallel_for(uint64_t n, uint64_t grain,
                              const std::function<void(uint64_t, uint64_t)>& fn) {
  if (n == 0) return;
  if (grain == 0) grain = std::max<uint64_t>(1, n / (uint64_t{concurrency()} * 4));
  const uint64_t pieces = (n - 1) / grain + 1;
  if (pieces == 1 || threads_.empty()) return fn(0, n);

  // Shared: a helper that starts after the loop has ended finds nothing left to do.
  struct Loop {
    const std::function<void(uint64_t, uint64_t)>* fn;
    uint64_t n, grain, pieces;
    std::atomic<uint64_t> next{0};
    std::atomic<uint64_t> finished{0};
  };
  auto loop = std::make_shared<Loop>();
  loop->fn = &fn;
  loop->n = n;
  loop->grain = grain;
  loop->pieces = pieces;
  auto run_pieces = [](Loop& shared) {
    while (true) {
      const uint64_t piece = shared.next.fetch_add(1);
      if (piece >= shared.pieces) return;
      const uint64_t begin = piece * shared.grain;
      (*shared.fn)(begin, std::min(shared.n, begin + shared.grain));
      shared.finished.fetch_add(1);
    }
  };
  const uint64_t helpers = std::min<uint64_t>(threads_.size(), pieces - 1);
  {
    // At the front: finishing what is in flight frees its memory before more is begun.
    std::lock_guard lock(mutex_);
    for (uint64_t i = 0; i < helpers; ++i) {
      tasks_.push_front([this, loop, run_pieces] {
        run_pieces(*loop);
        notify();
      });
    }
  }
  changed_.notify_all();
  run_pieces(*loop);
  // Only pieces already running elsewhere are left: wait for them without taking on other work,
  // which could be long.
  std::unique_lock lock(mutex_);
  while (loop->finished.load() < pieces) {
    changed_.wait_for(lock, std::chrono::milliseconds(1));
  }
}

}  // namespace precis
