// Writing beside computing: threads that hand finished bytes to the system.
#pragma once

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/output_file.h"
#include "core/engine/buffer_arena.h"

namespace precis {

// A writer waits for the disk; computing goes on meanwhile. The threads sleep or copy, so they are
// not among those that the user's --threads counts. There are two, so that one copies while the
// disk works for the other.
class WriteBehind {
 public:
  // Memory that the writers need when the largest write has `largest` bytes and `together` large
  // ones are waited for at once.
  static uint64_t memory_bytes(uint64_t largest, uint64_t together);

  WriteBehind();
  // Waits for what is queued.
  ~WriteBehind();
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // Queues the bytes for `offset` of `file`; both must live until the result is there. [any thread]
  std::future<Status> write(const OutputFile& file, uint64_t offset,
                            std::span<const std::byte> bytes);

 private:
  struct Task {
    std::packaged_task<Status(std::span<std::byte>)> write;
    bool staged = false;  // large: its bytes pass through page-aligned staging memory
  };

  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  // Staging memory that no writer holds. The last one given back is taken first, so that there are
  // never more than large writes were under way at once.
  std::vector<Buffer> idle_staging_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace precis
