// Runs GPU kernels on the CPU, one fiber for each GPU thread.
//
// The threads of a block switch at every barrier and warp operation, so that shuffles, barriers and
// shared memory behave as on a device, and mistakes in their use become errors:
//   - a barrier that part of the block never reaches, or that it reaches at two places
//   - a warp operation whose mask names a lane that has left or waits elsewhere
//   - reads that depend on the order of threads: run a kernel under several orders
//   - reads of shared memory nobody wrote, and of asynchronous copies nobody waited for
//   - accesses out of bounds: build with -fsanitize=address
//   - data races, scattered accesses, bank conflicts: kernels/simt/trace.h
// What kernels call is in kernels/simt/intrinsics.h. Not modelled: weak memory order, blocks that
// wait for each other, clusters, time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_size = 1, unsigned y_size = 1, unsigned z_size = 1)
      : x(x_size), y(y_size), z(z_size) {}
};

namespace precis::simt {

// A fault of the kernel: names the kernel, the block, the thread and the place.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// In which order the threads of a block run that could go on.
enum class Order { forward, reverse, random };

struct Options {
  Order order = Order::forward;
  uint64_t seed = 1;                // of Order::random
  int workers = 1;                  // threads of the CPU; each runs whole blocks
  bool poison = true;               // shared memory starts as 0xff bytes, NaN in every format
  bool strict_exit = true;          // a barrier after a thread has left is an error
  bool late_copies = true;          // asynchronous copies arrive when they are waited for
  size_t stack_bytes = 64 << 10;    // of each GPU thread; a guard page lies below
  size_t shared_bytes = 227 << 10;  // most shared memory of a block
};

// The options of the launches to come. Not to be changed while a kernel runs.
Options& options();

struct Statistics {
  uint64_t blocks = 0, threads = 0, switches = 0, barriers = 0, warp_operations = 0;
};
// Of the last launch that ended without an error.
Statistics last_statistics();

// Calls body(context) as every thread of every block. Throws Error. [one thread at a time]
void launch_erased(const char* name, dim3 grid, dim3 block, size_t dynamic_shared_bytes,
                   void (*body)(void*), void* context);

// Runs kernel(arguments...) and returns when all blocks are done. Arguments are copied once, as a
// launch on a device copies them. name is kept for messages until the launch ends.
template <class Kernel, class... Arguments>
void launch(const char* name, dim3 grid, dim3 block, size_t dynamic_shared_bytes, Kernel kernel,
            Arguments... arguments) {
  auto call = [&] { kernel(arguments...); };
  launch_erased(
      name, grid, block, dynamic_shared_bytes,
      [](void* context) { (*static_cast<decltype(call)*>(context))(); }, &call);
}

}  // namespace precis::simt
