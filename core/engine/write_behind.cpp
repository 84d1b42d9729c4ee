#include "core/engine/write_behind.h"

#include <algorithm>
#include <utility>

namespace precis {
namespace {

constexpr std::size_t kWriters = 2;
constexpr uint64_t kStagingBytes = 4 << 20;  // of one writer

}  // namespace

uint64_t WriteBehind::memory_bytes(uint64_t largest, uint64_t together) {
  if (largest < OutputFile::kPastCacheBytes) return 0;
  return std::min<uint64_t>(kWriters, together) * std::min(kStagingBytes, largest);
}

WriteBehind::WriteBehind() {
  for (std::size_t i = 0; i < kWriters; ++i) threads_.emplace_back([this] { work(); });
}

WriteBehind::~WriteBehind() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::future<Status> WriteBehind::write(const OutputFile& file, uint64_t offset,
                                       std::span<const std::byte> bytes) {
  Task task;
  task.staged = bytes.size() >= OutputFile::kPastCacheBytes;
  task.write = decltype(task.write)([&file, offset, bytes](std::span<std::byte> staging) -> Status {
    PRECIS_TRY(file.write_past_cache(offset, bytes, staging));
    file.start_writeback(offset, bytes.size());
    return {};
  });
  std::future<Status> result = task.write.get_future();
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
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    Buffer staging;
    if (task.staged && !idle_staging_.empty()) {
      staging = std::move(idle_staging_.back());
      idle_staging_.pop_back();
    }
    lock.unlock();
    // Where there is no memory for it, the bytes go through the cache.
    if (task.staged) (void)staging.reserve(kStagingBytes);
    task.write(staging.bytes(staging.capacity()));
    lock.lock();
    if (task.staged) idle_staging_.push_back(std::move(staging));
  }
}

}  // namespace precis
