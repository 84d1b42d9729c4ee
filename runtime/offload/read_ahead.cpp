#include "runtime/offload/read_ahead.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace precis {
namespace {

constexpr std::size_t kStep = 8 << 20;  // between looks at whether to stop

void touch(std::span<const std::byte> memory) {
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(memory.data()) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(memory.data() + memory.size());
#ifdef MADV_POPULATE_READ
  if (madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ) == 0) return;
#endif
  // Kernels before 5.14.
  for (std::size_t i = 0; i < memory.size(); i += page)
    static_cast<void>(*reinterpret_cast<const volatile std::byte*>(memory.data() + i));
}

class Reader {
 public:
  void add(std::span<const std::byte> memory, std::shared_ptr<const void> owner) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({memory, std::move(owner)});
    if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
    changed_.notify_one();
  }
  ~Reader() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }

 private:
  struct Range {
    std::span<const std::byte> memory;
    std::shared_ptr<const void> owner;
  };

  void run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (waiting_.empty()) {
        changed_.wait(lock);
        continue;
      }
      Range& range = waiting_.front();
      const auto here = range.memory.first(std::min(kStep, range.memory.size()));
      range.memory = range.memory.subspan(here.size());
      const std::shared_ptr<const void> owner = range.owner;
      if (range.memory.empty()) waiting_.pop_front();
      lock.unlock();
      touch(here);
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Range> waiting_;
  std::thread thread_;
  bool stopping_ = false;
};

}  // namespace

void read_ahead(std::span<const std::byte> memory, std::shared_ptr<const void> owner) {
  static Reader reader;
  reader.add(memory, std::move(owner));
}

}  // namespace precis
