// Scheduling the threads of one block.
#include "kernels/simt/engine.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <sstream>

#if defined(__SANITIZE_ADDRESS__)
#define PRECIS_SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PRECIS_SIMT_ASAN 1
#endif
#endif
#if defined(PRECIS_SIMT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace precis::simt {

__thread Coordinates* Running::now = nullptr;
const TraceHooks* trace_hooks = nullptr;

namespace {
thread_local Block* t_block = nullptr;
}

Block* current_block() {
  return t_block != nullptr && t_block->running != nullptr ? t_block : nullptr;
}
void set_current_block(Block* block) {
  t_block = block;
}

std::string place_of(const Thread& thread) {
  std::ostringstream text;
  const dim3 &b = thread.at.block_index, &t = thread.at.thread_index;
  text << "block (" << b.x << ',' << b.y << ',' << b.z << ") thread (" << t.x << ',' << t.y << ','
       << t.z << ')';
  return text.str();
}

void fail(const std::string& what) {
  std::string message;
  if (t_block != nullptr) {
    message = std::string("kernel ") + t_block->kernel + ": ";
    if (t_block->running != nullptr) message += place_of(*t_block->running) + ": ";
  }
  throw Error(message + what);
}

Stacks::~Stacks() {
  release();
}

void Stacks::release() {
  if (base_ != nullptr) munmap(base_, count_ * (bytes_ + guard_));
  base_ = nullptr;
}

bool Stacks::contains(uintptr_t address) const {
  const auto base = reinterpret_cast<uintptr_t>(base_);
  return address >= base && address < base + count_ * (bytes_ + guard_);
}

void Stacks::reserve(size_t count, size_t bytes) {
  if (count <= count_ && bytes == bytes_ && base_ != nullptr) return;
  release();
  guard_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  count_ = count;
  bytes_ = (bytes + guard_ - 1) / guard_ * guard_;
  void* memory = mmap(nullptr, count * (bytes_ + guard_), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<unsigned char*>(memory);
  for (size_t i = 0; i < count; ++i) mprotect(base_ + i * (bytes_ + guard_), guard_, PROT_NONE);
}

Block::~Block() {
  for (const SharedObject& object : shared) std::free(object.data);
  std::free(dynamic_shared);
}

namespace {

// AddressSanitizer must know of every change of stack.
void announce_leaving([[maybe_unused]] void** fake_stack, [[maybe_unused]] const void* stack,
                      [[maybe_unused]] size_t bytes) {
#if defined(PRECIS_SIMT_ASAN)
  __sanitizer_start_switch_fiber(fake_stack, stack, bytes);
#endif
}
void announce_arrival([[maybe_unused]] void* fake_stack, [[maybe_unused]] const void** stack,
                      [[maybe_unused]] size_t* bytes) {
#if defined(PRECIS_SIMT_ASAN)
  __sanitizer_finish_switch_fiber(fake_stack, stack, bytes);
#endif
}

void thread_main() {
  Block* block = t_block;
  announce_arrival(nullptr, &block->scheduler_stack, &block->scheduler_stack_bytes);
  Thread* thread = block->running;
  try {
    block->body(block->context);
    for (const auto& group : thread->copies)
      if (!group.empty()) fail("the thread left with asynchronous copies not waited for");
    for (const auto& group : thread->late)
      if (!group.empty()) fail("the thread left with asynchronous products not waited for");
  } catch (...) {
    if (!block->error) block->error = std::current_exception();
  }
  thread->state = State::left;
  --block->live;
  announce_leaving(nullptr, block->scheduler_stack, block->scheduler_stack_bytes);
  Fiber::switch_between(thread->fiber, block->scheduler);
  __builtin_unreachable();
}

void resume(Block& block, Thread& thread) {
  block.running = &thread;
  Running::now = &thread.at;
  ++block.statistics.switches;
  announce_leaving(&block.scheduler_fake_stack,
                   block.stacks->of(static_cast<size_t>(thread.number)), block.stacks->bytes());
  Fiber::switch_between(block.scheduler, thread.fiber);
  announce_arrival(block.scheduler_fake_stack, nullptr, nullptr);
  block.running = nullptr;
  if (block.error) std::rethrow_exception(block.error);
}

std::string barrier_place(const Thread& thread) {
  return std::string(thread.waits_at) + ":" + std::to_string(thread.line);
}

// Every live thread waits at the block barrier: checks that it is the same one, and lets them go.
void release_barrier(Block& block) {
  const Thread* first = nullptr;
  for (const Thread& thread : block.threads) {
    if (thread.state != State::at_barrier) continue;
    if (first == nullptr) first = &thread;
    if (thread.line != first->line || std::strcmp(thread.waits_at, first->waits_at) != 0)
      fail("a block barrier is reached at two places: " + place_of(*first) + " at " +
           barrier_place(*first) + ", " + place_of(thread) + " at " + barrier_place(thread));
  }
  for (const Thread& thread : block.threads)
    if (options().strict_exit && thread.state == State::left)
      fail("block barrier at " + barrier_place(*first) + ", but " + place_of(thread) +
           " has left the kernel");
  for (Thread& thread : block.threads)
    if (thread.state == State::at_barrier) thread.state = State::ready;
  block.waiting_at_barrier = 0;
  ++block.barrier_epoch;
  ++block.statistics.barriers;
}

[[noreturn]] void fail_deadlock(const Block& block) {
  const int count = static_cast<int>(block.threads.size());
  for (const Thread& thread : block.threads) {
    if (thread.state != State::in_group) continue;
    const int base = thread.number & ~(thread.width - 1);
    for (int lane = 0; lane < thread.width && base + lane < count; ++lane) {
      const bool named = thread.width > 64 || (thread.mask >> lane & 1) != 0;
      if (named && block.threads[static_cast<size_t>(base + lane)].state == State::left)
        fail(std::string(thread.waits_at) + ": the mask names lane " + std::to_string(lane) +
             ", which has left the kernel");
    }
  }
  std::ostringstream text;
  text << "no thread can go on:";
  int shown = 0;
  for (const Thread& thread : block.threads) {
    if (thread.state == State::left || shown++ == 4) continue;
    text << "\n  " << place_of(thread) << " waits at ";
    if (thread.state == State::at_barrier)
      text << barrier_place(thread);
    else
      text << thread.waits_at << " with mask 0x" << std::hex << thread.mask << std::dec;
  }
  fail(text.str());
}

void prepare_threads(Block& block) {
  const size_t count = block.threads.size();
  block.live = static_cast<int>(count);
  block.waiting_at_barrier = 0;
  block.barrier_epoch = 0;
  if (options().poison) {
    for (const SharedObject& object : block.shared) std::memset(object.data, 0xff, object.bytes);
    if (block.dynamic_shared != nullptr)
      std::memset(block.dynamic_shared, 0xff, block.dynamic_shared_bytes);
  }
  block.writers.assign(block.dynamic_shared_bytes / 4, Writer{});
  for (size_t i = 0; i < count; ++i) {
    Thread& thread = block.threads[i];
    thread.state = State::ready;
    thread.publications = 0;
    thread.warp_epoch = 0;
    thread.copies.clear();
    thread.late.clear();
#if defined(PRECIS_SIMT_ASAN)
    __asan_unpoison_memory_region(block.stacks->of(i), block.stacks->bytes());
#endif
    // Stacks at equal offsets would all fall into the same sets of the cache.
    const size_t skew = (i % 32) * 320;
    thread.fiber.prepare(block.stacks->of(i), block.stacks->bytes() - skew, thread_main);
  }
}

// A random part of the threads that could run goes next, so that threads get far ahead.
void run_in_random_order(Block& block) {
  std::vector<Thread*> ready;
  while (block.live > 0) {
    ready.clear();
    for (Thread& thread : block.threads)
      if (thread.state == State::ready) ready.push_back(&thread);
    if (ready.empty()) {
      if (block.waiting_at_barrier != block.live) fail_deadlock(block);
      release_barrier(block);
      continue;
    }
    std::shuffle(ready.begin(), ready.end(), block.random);
    ready.resize(1 + block.random() % ready.size());
    for (Thread* thread : ready) resume(block, *thread);
  }
}

// Runs the threads [begin, end), a warp, until all of them wait; true when any of them ran.
bool run_warp(Block& block, size_t begin, size_t end, bool reverse) {
  bool any = false;
  for (bool again = true; again;) {
    again = false;
    for (size_t i = begin; i < end; ++i) {
      Thread& thread = block.threads[reverse ? end - 1 - (i - begin) : i];
      if (thread.state != State::ready) continue;
      resume(block, thread);
      again = any = true;
    }
  }
  return any;
}

void run_in_order(Block& block, bool reverse) {
  const size_t count = block.threads.size(), warps = (count + 31) / 32;
  while (block.live > 0) {
    bool any = false;
    for (size_t i = 0; i < warps; ++i) {
      const size_t begin = (reverse ? warps - 1 - i : i) * 32;
      any |= run_warp(block, begin, std::min(count, begin + 32), reverse);
    }
    if (block.live > 0 && block.waiting_at_barrier == block.live)
      release_barrier(block);
    else if (!any)
      fail_deadlock(block);
  }
}

}  // namespace

void suspend() {
  Block* block = t_block;
  Thread* thread = block->running;
  announce_leaving(&thread->fake_stack, block->scheduler_stack, block->scheduler_stack_bytes);
  Fiber::switch_between(thread->fiber, block->scheduler);
  announce_arrival(thread->fake_stack, &block->scheduler_stack, &block->scheduler_stack_bytes);
}

void run_block(Block& block) {
  prepare_threads(block);
  if (options().order == Order::random)
    run_in_random_order(block);
  else
    run_in_order(block, options().order == Order::reverse);
  if (trace_hooks != nullptr) trace_hooks->block_ends();
}

}  // namespace precis::simt
