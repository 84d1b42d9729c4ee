// A process that encodes and decodes weights for the one that started it, and what the two share.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>

#include "core/abi/host.h"
#include "core/engine/error_stats.h"
#include "core/engine/plan.h"

namespace precis {

// One weight to encode, or rows of one to decode, as the plan says. The memory's descriptor goes
// with it.
struct WorkerTask {
  uint64_t component = 0, tensor = 0;  // indices into the plan
  int64_t row = 0, rows = 0;           // to decode
  uint64_t memory_bytes = 0;           // of the mapping
  uint32_t threads = 1;
  uint32_t measure = 0;
};

enum class WorkerPhase : int32_t { idle, reading, encoding, measuring };

// Memory of both processes. The parent believes none of it more than it must: a plugin may have
// written over it.
struct WorkerState {
  // From the parent.
  std::atomic<bool> cancel;
  // From the worker while it works.
  std::atomic<WorkerPhase> phase;
  std::atomic<uint64_t> signs_of_life;
  // The outcome of the last task.
  int32_t code;  // an ErrorCode, 0: done
  char message[8192], hint[1024];
  ErrorStats error;
  uint64_t anonymous_bytes;  // of the worker beyond what it was started with
};

// Carries out tasks that come by `socket`, a byte of answer each, until the parent is gone. Called
// in a fresh child, which has one thread. host: whose loops run on the task's threads; may be null.
[[noreturn]] void work_for_parent(pid_t parent, int socket, WorkerState& state, const Plan& plan,
                                  Host* host);

// A message with a descriptor beside it. 0, or what errno says: EPIPE or ECONNRESET where the other
// side is gone.
int send_task(int socket, const WorkerTask& task, int descriptor);

}  // namespace precis
