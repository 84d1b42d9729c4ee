// What kernel source calls when it runs on the executor: CUDA's names, shared storage, warp
// operations, atomics, vector accesses, asynchronous copies.
#pragma once

#include <cstring>
#include <string>
#include <type_traits>

#include "kernels/simt/simt.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

namespace precis::simt {

struct Coordinates {
  dim3 thread_index{0, 0, 0}, block_index{0, 0, 0}, block_size, grid_size;
};
// Of the running GPU thread; the scheduler sets it before it resumes one.
struct Running {
  static __thread Coordinates* now;
};

// Throws Error with `what` behind the kernel's name and the running thread's place.
[[noreturn]] void fail(const std::string& what);

// All threads of the block, at the same place.
void block_barrier(const char* file, int line);

// Storage of a __shared__ object: one for each block that runs, found by the address of `tag`.
void* shared_storage(const void* tag, const char* name, size_t bytes, size_t alignment);
void* dynamic_shared_storage();

template <class T>
T& shared_object(const void* tag, const char* name) {
  return *static_cast<T*>(shared_storage(tag, name, sizeof(T), alignof(T) < 16 ? 16 : alignof(T)));
}

// One operation of the lanes in `mask` of a group of `width` neighbouring threads (32, 64 or 128;
// for 128 the mask is all lanes). Each lane brings an object at `value`. When all have come, `work`
// sees the addresses of all of them (null outside the mask) and writes the results in place.
using GroupWork = void (*)(void* const* lanes, int width, void* context);
void group_operation(int width, uint64_t mask, const char* name, void* value, GroupWork work,
                     void* context);

// The running thread's number within its group of `width`.
int lane_of(int width);

// Orders the memory accesses of the warp's lanes: __syncwarp.
void warp_barrier(int width = 32);

// work(Fragment* const* lanes) on the fragments of all lanes of a group: matrix operations.
template <class Fragment, class Work>
void warp_collective(Fragment& mine, const char* name, Work work, int width = 32) {
  static_assert(std::is_trivially_copyable_v<Fragment>);
  group_operation(
      width, width >= 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1, name, &mine,
      [](void* const* lanes, int group, void* context) {
        Fragment* fragments[128];
        for (int lane = 0; lane < group; ++lane)
          fragments[lane] = static_cast<Fragment*>(lanes[lane]);
        (*static_cast<Work*>(context))(fragments);
      },
      &work);
}

namespace detail {
template <class T>
struct ShuffleMessage {
  T value;
  int source;
};
[[noreturn]] void fail_shuffle_source(const char* name, int lane, int source);
}  // namespace detail

// The value that lane `source` of the warp brought.
template <class T>
T shuffle(uint32_t mask, T value, int source, const char* name) {
  static_assert(std::is_trivially_copyable_v<T>);
  detail::ShuffleMessage<T> message{value, source};
  group_operation(
      32, mask, name, &message,
      [](void* const* lanes, int width, void* context) {
        T results[32];
        const auto message_of = [&](int lane) {
          return static_cast<detail::ShuffleMessage<T>*>(lanes[lane]);
        };
        for (int lane = 0; lane < width; ++lane) {
          if (lanes[lane] == nullptr) continue;
          const int from = message_of(lane)->source;
          if (lanes[from] == nullptr)
            detail::fail_shuffle_source(static_cast<const char*>(context), lane, from);
          results[lane] = message_of(from)->value;
        }
        for (int lane = 0; lane < width; ++lane)
          if (lanes[lane] != nullptr) message_of(lane)->value = results[lane];
      },
      const_cast<char*>(name));
  return message.value;
}

template <class T>
T shuffle_xor(uint32_t mask, T value, int lanes, int width = 32) {
  const int self = lane_of(32), other = self ^ lanes;
  const bool outside = (other & ~(width - 1)) != (self & ~(width - 1));
  return shuffle(mask, value, outside ? self : other, "shuffle_xor");
}
template <class T>
T shuffle_from(uint32_t mask, T value, int lane, int width = 32) {
  return shuffle(mask, value, (lane_of(32) & ~(width - 1)) | (lane & (width - 1)), "shuffle");
}
template <class T>
T shuffle_down(uint32_t mask, T value, int lanes, int width = 32) {
  const int self = lane_of(32);
  const bool outside = (self & (width - 1)) + lanes >= width;
  return shuffle(mask, value, outside ? self : self + lanes, "shuffle_down");
}

// Bit i: lane i brought true.
uint32_t ballot(uint32_t mask, bool predicate);

// One access of 4, 8 or 16 bytes, checked for alignment, seen by the tracer as one.
void vector_load(void* value, const void* from, size_t bytes);
void vector_store(void* to, const void* value, size_t bytes);

// cp.async: copies `valid` bytes and zeros up to `bytes` (4, 8 or 16), to shared memory, of which
// the thread sees nothing before async_wait. async_commit closes a group; async_wait returns when
// at most `pending` of the closed groups are on their way.
void async_copy(void* to_shared, const void* from, size_t bytes, size_t valid);
void async_commit();
void async_wait(int pending);

// Work of the running thread that happens when it is waited for, at the latest moment that a device
// may choose: the products of wgmma. Groups are those of asynchronous copies.
struct LateWork {
  void (*run)(LateWork work);
  void* result;
  uint64_t arguments[4];
};
void late_start(const LateWork& work);
void late_commit();
void late_wait(int pending);

// What the running thread wrote to dynamic shared memory by vectors or copies before is seen by
// units that read it by other ways than loads: fence.proxy.async. require_published fails where
// somebody has yet to call it for bytes there.
void publish_writes();
void require_published(const void* at, size_t bytes);

// Tells the tracer of an atomic access.
void note_atomic(void* at, size_t bytes, const void* program_counter);

}  // namespace precis::simt

#define threadIdx (::precis::simt::Running::now->thread_index)
#define blockIdx (::precis::simt::Running::now->block_index)
#define blockDim (::precis::simt::Running::now->block_size)
#define gridDim (::precis::simt::Running::now->grid_size)
#define __syncthreads() ::precis::simt::block_barrier(__FILE__, __LINE__)

template <class T>
__attribute__((noinline, no_sanitize("thread"))) T atomicAdd(T* at, std::common_type_t<T> value) {
  static_assert(std::is_integral_v<T>);
  ::precis::simt::note_atomic(at, sizeof(T), __builtin_return_address(0));
  return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}
