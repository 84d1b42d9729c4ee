// Encoding and decoding weights in processes of their own: a plugin that crashes, exits or hangs
// there costs its tensor, not the run.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include "core/engine/buffer_arena.h"
#include "core/engine/worker_process.h"

namespace precis {

struct IsolationOptions {
  // How long a worker may go without calling a plugin and without a plugin that polls.
  std::chrono::seconds patience{60};
  // The one that the plan's plugins were loaded with; null: their loops run on one thread.
  Host* host = nullptr;
};

// Anonymous memory that a worker needs beside what it shares: its stacks, its heap.
inline constexpr uint64_t kWorkerOverheadBytes = 2ull << 20;

class IsolatedWorkers {
 public:
  // Lost tensors after which a run gives up: the plugin will hardly do better with the others.
  static constexpr std::size_t kMostLost = 3;

  // Starts processes for `concurrency` tensors at once, and those that take the place of the lost.
  // They see the plan as it is now. No thread of this process but the caller works meanwhile, and
  // the caller outlives the workers. Errors: io, where the system starts no more processes.
  static Result<std::unique_ptr<IsolatedWorkers>> start(const Plan& plan, unsigned concurrency,
                                                        const IsolationOptions& options);
  // Ends the processes.
  ~IsolatedWorkers();
  IsolatedWorkers(const IsolatedWorkers&) = delete;
  IsolatedWorkers& operator=(const IsolatedWorkers&) = delete;

  // Carries the task out in `memory`, which shares by descriptor, and adds to `error`. Error
  // plugin: the worker came to an end, which names the plugin; others are those of EncodeJob and
  // DecodeJob. [any thread]
  Status run(WorkerTask task, const Buffer& memory, const std::atomic<bool>* cancel,
             ErrorStats& error);

  // What a plan's peak memory grows by.
  static uint64_t overhead_bytes(const Plan& plan);

  // Anonymous memory of the workers as they last told. [any thread]
  uint64_t memory_bytes() const;

 private:
  struct Worker;

  IsolatedWorkers(const Plan& plan, const IsolationOptions& options);
  Status add_worker();
  Worker* take();
  void give_back(Worker& worker);
  // How waiting for an answer ended.
  enum class Outcome { answered, ended, silent, cancelled };
  Outcome wait_for(Worker& worker, const std::atomic<bool>* cancel) const;
  Error describe_end(const Worker& worker, Outcome outcome, int status,
                     const WorkerTask& task) const;

  const Plan& plan_;
  const IsolationOptions options_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> idle_;
};

}  // namespace precis
