// Spreading the blocks of a launch over threads of the CPU.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>

#include "kernels/simt/engine.h"

namespace precis::simt {

Options& options() {
  static Options options;
  return options;
}

namespace {

Statistics& statistics() {
  static Statistics statistics;
  return statistics;
}

uint64_t volume(dim3 size) {
  return uint64_t{size.x} * size.y * size.z;
}

dim3 position(uint64_t number, dim3 size) {
  return dim3(static_cast<unsigned>(number % size.x),
              static_cast<unsigned>(number / size.x % size.y),
              static_cast<unsigned>(number / size.x / size.y));
}

struct Launch {
  const char* name;
  dim3 grid, block;
  size_t dynamic_shared_bytes;
  void (*body)(void*);
  void* context;

  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  Statistics statistics;

  void check() const {
    const std::string where = std::string("kernel ") + name + ": ";
    if (volume(block) == 0 || volume(block) > 1024 || block.z > 64)
      throw Error(where + "a block has 1 to 1024 threads, at most 64 of them in z");
    if (volume(grid) == 0 || grid.y > 65535 || grid.z > 65535)
      throw Error(where + "a grid is not empty and has at most 65535 blocks in y and in z");
    if (dynamic_shared_bytes > options().shared_bytes)
      throw Error(where + "shared memory over the limit of a block");
    if (current_block() != nullptr) throw Error(where + "launched from within a kernel");
  }

  void set_up(Block& state) const {
    thread_local Stacks stacks;
    stacks.reserve(volume(block), options().stack_bytes);
    state.kernel = name;
    state.body = body;
    state.context = context;
    state.stacks = &stacks;
    state.threads = std::vector<Thread>(volume(block));
    if (dynamic_shared_bytes > 0) {
      void* memory = nullptr;
      if (posix_memalign(&memory, 128, dynamic_shared_bytes) != 0) throw std::bad_alloc();
      state.dynamic_shared = static_cast<unsigned char*>(memory);
      state.dynamic_shared_bytes = dynamic_shared_bytes;
    }
  }

  void run_one(Block& state, uint64_t number) const {
    state.number = number;
    state.random.seed(options().seed * 0x9e3779b97f4a7c15ull + number);
    for (uint64_t i = 0; i < state.threads.size(); ++i) {
      Thread& thread = state.threads[i];
      thread.number = static_cast<int>(i);
      thread.at = {position(i, block), position(number, grid), block, grid};
    }
    run_block(state);
  }

  // What each thread of the CPU does: one block after another.
  void work() {
    Block state;
    const uint64_t blocks = volume(grid);
    try {
      set_up(state);
      set_current_block(&state);
      for (uint64_t number; (number = next++) < blocks;) run_one(state, number);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = blocks;
    }
    set_current_block(nullptr);
    Running::now = nullptr;
    const std::lock_guard lock(mutex);
    statistics.switches += state.statistics.switches;
    statistics.barriers += state.statistics.barriers;
    statistics.warp_operations += state.statistics.warp_operations;
  }
};

}  // namespace

Statistics last_statistics() {
  return statistics();
}

void launch_erased(const char* name, dim3 grid, dim3 block, size_t dynamic_shared_bytes,
                   void (*body)(void*), void* context) {
  Launch launch{name, grid, block, dynamic_shared_bytes, body, context, {}, {}, {}, {}};
  launch.check();
  if (trace_hooks != nullptr) trace_hooks->launch_begins(name);
  const auto wanted = static_cast<uint64_t>(std::max(1, options().workers));
  std::vector<std::thread> others(std::min(wanted, volume(grid)) - 1);
  for (std::thread& other : others) other = std::thread([&] { launch.work(); });
  launch.work();
  for (std::thread& other : others) other.join();
  if (launch.error) std::rethrow_exception(launch.error);
  statistics() = launch.statistics;
  statistics().blocks = volume(grid);
  statistics().threads = volume(grid) * volume(block);
}

}  // namespace precis::simt
