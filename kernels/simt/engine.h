// What the parts of the executor share. Not for kernels.
#pragma once

#include <exception>
#include <random>
#include <vector>

#include "kernels/simt/fiber.h"
#include "kernels/simt/intrinsics.h"

namespace precis::simt {

enum class State : uint8_t { ready, at_barrier, in_group, left };

struct AsyncCopy {
  void* to;
  size_t bytes;
  unsigned char data[16];
};

// Who wrote a word of dynamic shared memory by vectors or copies, and what it had published by
// then.
struct Writer {
  uint32_t thread = 0;  // 1 and its number; 0: nobody
  uint32_t publications = 0;
};

struct Thread {
  Fiber fiber;
  State state = State::ready;
  int number = 0;  // within the block
  Coordinates at;
  const char* waits_at = "";  // a file or the name of a group operation
  int line = 0;
  uint64_t mask = 0;
  int width = 0;
  void* value = nullptr;    // what it brought to a group operation
  uint32_t warp_epoch = 0;  // warp barriers passed since the block began
  void* fake_stack = nullptr;
  std::vector<std::vector<AsyncCopy>> copies;  // committed groups, then the open one
  std::vector<std::vector<LateWork>> late;     // the same
  uint32_t publications = 0;                   // calls of publish_writes
};

struct SharedObject {
  const void* tag;
  const char* name;
  unsigned char* data;
  size_t bytes;
};

// The stacks of a block's threads, each above a guard page. Kept by each thread of the CPU from
// launch to launch.
class Stacks {
 public:
  ~Stacks();
  void reserve(size_t count, size_t bytes);
  unsigned char* of(size_t thread) const { return base_ + thread * (bytes_ + guard_) + guard_; }
  bool contains(uintptr_t address) const;
  size_t bytes() const { return bytes_; }

 private:
  void release();
  unsigned char* base_ = nullptr;
  size_t count_ = 0, bytes_ = 0, guard_ = 0;
};

// The block that a thread of the CPU runs.
struct Block {
  ~Block();

  const char* kernel = "";
  void (*body)(void*) = nullptr;
  void* context = nullptr;
  uint64_t number = 0;  // within the grid
  std::vector<Thread> threads;
  std::vector<SharedObject> shared;
  unsigned char* dynamic_shared = nullptr;
  size_t dynamic_shared_bytes = 0;
  std::vector<Writer> writers;  // of each 4 bytes of it
  Thread* running = nullptr;
  int live = 0, waiting_at_barrier = 0;
  uint32_t barrier_epoch = 0;
  Stacks* stacks = nullptr;
  Fiber scheduler;
  void* scheduler_fake_stack = nullptr;
  const void* scheduler_stack = nullptr;
  size_t scheduler_stack_bytes = 0;
  std::exception_ptr error;
  std::mt19937_64 random;
  Statistics statistics;
};

// The block whose thread calls; null outside of kernels.
Block* current_block();
void set_current_block(Block* block);

// Suspends the running thread until its state is ready again.
void suspend();

// Runs all threads of the block to their end.
void run_block(Block& block);

// "block (0,0,0) thread (5,0,0)".
std::string place_of(const Thread& thread);

// Set by the tracer where it is linked in.
struct TraceHooks {
  void (*launch_begins)(const char* kernel);
  void (*block_ends)();
  void (*access)(const void* at, size_t bytes, bool write, bool atomic, const void* pc);
};
extern const TraceHooks* trace_hooks;

}  // namespace precis::simt
