#include "core/engine/write_behind.h"

#include <utility>

namespace precis {

WriteBehind::WriteBehind() : thread_([this] { work(); }) {}

WriteBehind::~WriteBehind() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::future<Status> WriteBehind::write(const OutputFile& file, uint64_t offset,
                                       std::span<const std::byte> bytes) {
  std::packaged_task<Status()> task([&file, offset, bytes]() -> Status {
    PRECIS_TRY(file.write_at(offset, bytes));
    file.start_writeback(offset, bytes.size());
    return {};
  });
  std::future<Status> result = task.get_future();
  {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
  return result;
}

void WriteBehind::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    std::packaged_task<Status()> task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

}  // namespace precis
