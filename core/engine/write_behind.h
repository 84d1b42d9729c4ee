// Writing beside computing: one thread that hands finished bytes to the system.
#pragma once

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>

#include "core/base/output_file.h"

namespace precis {

// The system makes a writer wait when the disk is behind; computing goes on meanwhile. The thread
// sleeps or copies, so it is not one of the threads that the user's --threads counts.
class WriteBehind {
 public:
  WriteBehind();
  // Waits for what is queued.
  ~WriteBehind();
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;

  // Queues the bytes for `offset` of `file`; both must live until the result is there. [any thread]
  std::future<Status> write(const OutputFile& file, uint64_t offset,
                            std::span<const std::byte> bytes);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::packaged_task<Status()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace precis
