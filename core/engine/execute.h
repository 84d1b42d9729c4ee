// Carrying a plan out: streaming, parallel, resumable, atomic.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/base/thread_pool.h"
#include "core/engine/buffer_arena.h"
#include "core/engine/error_stats.h"
#include "core/engine/isolated_workers.h"
#include "core/engine/plan.h"

namespace precis {

// Anonymous memory each thread needs beside the arena: slices of decoded weights, its stack, its
// heap.
inline constexpr uint64_t kThreadOverheadBytes = 1ull << 20;

// Where a run stands; handed out after every tensor and every second.
struct Progress {
  std::size_t tensors_done = 0, tensors_total = 0;
  uint64_t bytes_done = 0, bytes_total = 0;  // of source tensors
  uint64_t bytes_written = 0;
  double seconds = 0;
  uint64_t peak_memory_bytes = 0;  // measured, anonymous
  std::string worst_tensor;        // with the largest relative error so far; empty: none
  double worst_relative_error = 0;
};

struct ExecuteOptions {
  bool resume = true;         // go on with an unfinished result; false: begin anew
  bool force = false;         // replace an existing result
  bool measure_error = true;  // decode what was encoded and compare
  std::function<void(const Progress&)> progress;  // called from worker threads, one at a time
  const std::atomic<bool>* cancel = nullptr;      // true: stop after the tensors in flight
  // Weights are encoded and decoded in processes of their own; nothing: in this one.
  std::optional<IsolationOptions> isolation;
};

// What one tensor came out as.
struct TensorOutcome {
  std::size_t component = 0, tensor = 0;  // indices into the plan
  ErrorStats error;                       // of quantized tensors
};

struct RunReport {
  double seconds = 0;
  uint64_t bytes_written = 0;
  uint64_t peak_memory_bytes = 0;  // measured, anonymous
  std::size_t resumed_tensors = 0;
  std::vector<TensorOutcome> tensors;  // in plan order
  std::vector<std::string> warnings;
};

// Anonymous memory that the arena must give this tensor while it is in flight.
uint64_t working_set_bytes(const TensorPlan& tensor);

// Writes the plan's result to `out`, which appears only when complete: everything is written to
// `out`.partial, synced and renamed. A killed run leaves `out`.partial with its journal; the same
// plan goes on with it. With isolation a run whose plugin loses tensors goes on with the others, up
// to IsolatedWorkers::kMostLost, and then fails with the first of these errors; threads of `pool`
// are idle when it begins. Errors: io (disk full, not writable, exists), cancelled, data_loss and
// whatever a plugin says, with component and tensor in front.
Result<RunReport> execute(const Plan& plan, const std::filesystem::path& out, ThreadPool& pool,
                          const ExecuteOptions& options);

}  // namespace precis
