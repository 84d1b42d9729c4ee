// Barriers, warp operations, shared storage and copies, as the running thread calls them.
#include "kernels/simt/intrinsics.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "kernels/simt/engine.h"

namespace precis::simt {

void block_barrier(const char* file, int line) {
  Block* block = current_block();
  Thread* thread = block->running;
  thread->state = State::at_barrier;
  thread->waits_at = file;
  thread->line = line;
  ++block->waiting_at_barrier;
  suspend();
}

int lane_of(int width) {
  return current_block()->running->number & (width - 1);
}

namespace {

// The lanes of one group operation, seen from the thread that came last.
struct Group {
  Block& block;
  const Thread& caller;
  int base, width;
  uint64_t mask;

  bool names(int lane) const { return width > 64 || (mask >> lane & 1) != 0; }
  Thread& at(int lane) const { return block.threads[static_cast<size_t>(base + lane)]; }

  // True when every named lane waits for this operation; an error when one never will.
  bool complete() const {
    const int self = caller.number - base;
    for (int step = 1; step < width; ++step) {
      const int lane = (self + step) & (width - 1);
      if (!names(lane)) continue;
      const Thread& other = at(lane);
      if (other.state == State::left)
        fail(std::string(caller.waits_at) + ": the mask names lane " + std::to_string(lane) +
             ", which has left the kernel");
      if (other.state != State::in_group) return false;
      if (other.width != width || other.mask != mask ||
          std::strcmp(other.waits_at, caller.waits_at) != 0)
        fail(std::string("lanes of one warp wait at different operations or with different "
                         "masks: ") +
             caller.waits_at + " and (lane " + std::to_string(lane) + ") " + other.waits_at);
    }
    return true;
  }
};

}  // namespace

void group_operation(int width, uint64_t mask, const char* name, void* value, GroupWork work,
                     void* context) {
  Block& block = *current_block();
  Thread& self = *block.running;
  const int lane = self.number & (width - 1), base = self.number - lane;
  const int missing = base + width - static_cast<int>(block.threads.size());
  if (missing > 0 && width > 64) fail(std::string(name) + ": the block has no whole group here");
  // The last warp of a block may be short.
  if (missing > 0) mask &= (uint64_t{1} << (width - missing)) - 1;
  if (width <= 64 && (mask >> lane & 1) == 0)
    fail(std::string(name) + ": the calling lane " + std::to_string(lane) + " is not in the mask");
  self.state = State::in_group;
  self.waits_at = name;
  self.mask = mask;
  self.width = width;
  self.value = value;
  const Group group{block, self, base, width, mask};
  if (!group.complete()) {
    suspend();
    return;
  }
  void* values[128] = {};
  for (int i = 0; i < width; ++i)
    if (group.names(i)) values[i] = group.at(i).value;
  work(values, width, context);
  for (int i = 0; i < width; ++i)
    if (group.names(i)) group.at(i).state = State::ready;
  ++block.statistics.warp_operations;
}

void warp_barrier(int width) {
  char nothing = 0;
  group_operation(
      width, width >= 64 ? ~uint64_t{0} : (uint64_t{1} << width) - 1, "warp_barrier", &nothing,
      [](void* const*, int, void*) {}, nullptr);
  ++current_block()->running->warp_epoch;
}

uint32_t ballot(uint32_t mask, bool predicate) {
  uint32_t value = predicate ? 1 : 0;
  group_operation(
      32, mask, "ballot", &value,
      [](void* const* lanes, int width, void*) {
        uint32_t votes = 0;
        for (int lane = 0; lane < width; ++lane)
          if (lanes[lane] != nullptr) votes |= *static_cast<uint32_t*>(lanes[lane]) << lane;
        for (int lane = 0; lane < width; ++lane)
          if (lanes[lane] != nullptr) *static_cast<uint32_t*>(lanes[lane]) = votes;
      },
      nullptr);
  return value;
}

void detail::fail_shuffle_source(const char* name, int lane, int source) {
  fail(std::string(name) + ": lane " + std::to_string(lane) + " reads lane " +
       std::to_string(source) + ", which the mask leaves out");
}

void* shared_storage(const void* tag, const char* name, size_t bytes, size_t alignment) {
  Block& block = *current_block();
  size_t total = block.dynamic_shared_bytes + bytes;
  for (const SharedObject& object : block.shared) {
    if (object.tag == tag) return object.data;
    total += object.bytes;
  }
  if (total > options().shared_bytes)
    fail(std::string("shared memory over the limit of a block at ") + name);
  // A heap block of its own: AddressSanitizer puts red zones around it.
  void* memory = nullptr;
  if (posix_memalign(&memory, std::max<size_t>(alignment, 128), bytes) != 0) throw std::bad_alloc();
  std::memset(memory, options().poison ? 0xff : 0, bytes);
  block.shared.push_back({tag, name, static_cast<unsigned char*>(memory), bytes});
  return memory;
}

void* dynamic_shared_storage() {
  return current_block()->dynamic_shared;
}

void note_atomic(void* at, size_t bytes, const void* program_counter) {
  if (trace_hooks != nullptr) trace_hooks->access(at, bytes, true, true, program_counter);
}

namespace {

void check_vector(const void* at, size_t bytes) {
  if (bytes != 4 && bytes != 8 && bytes != 16)
    fail("a vector access has 4, 8 or 16 bytes, not " + std::to_string(bytes));
  if (reinterpret_cast<uintptr_t>(at) % bytes != 0)
    fail("misaligned vector access of " + std::to_string(bytes) + " bytes");
}

void trace(const void* at, size_t bytes, bool write, const void* pc) {
  if (trace_hooks != nullptr) trace_hooks->access(at, bytes, write, false, pc);
}

}  // namespace

namespace {

// The words of dynamic shared memory at `at`, as [first, last); none outside of it.
struct SharedWords {
  size_t first = 0, last = 0;
  SharedWords(const Block& block, const void* at, size_t bytes) {
    const auto begin = reinterpret_cast<uintptr_t>(block.dynamic_shared);
    const auto place = reinterpret_cast<uintptr_t>(at);
    if (place < begin || place + bytes > begin + block.writers.size() * 4) return;
    first = (place - begin) / 4;
    last = (place - begin + bytes + 3) / 4;
  }
};

void note_writer(const void* to, size_t bytes) {
  Block& block = *current_block();
  const SharedWords words(block, to, bytes);
  const Thread& self = *block.running;
  for (size_t i = words.first; i < words.last; ++i)
    block.writers[i] = {static_cast<uint32_t>(self.number) + 1, self.publications};
}

}  // namespace

void publish_writes() {
  ++current_block()->running->publications;
}

void require_published(const void* at, size_t bytes) {
  const Block& block = *current_block();
  const SharedWords words(block, at, bytes);
  for (size_t i = words.first; i < words.last; ++i) {
    const Writer& writer = block.writers[i];
    if (writer.thread != 0 && block.threads[writer.thread - 1].publications == writer.publications)
      fail("reads what thread " + std::to_string(writer.thread - 1) +
           " wrote and did not publish (fence.proxy.async)");
  }
}

void vector_load(void* value, const void* from, size_t bytes) {
  check_vector(from, bytes);
  trace(from, bytes, false, __builtin_return_address(0));
  std::memcpy(value, from, bytes);
}

void vector_store(void* to, const void* value, size_t bytes) {
  check_vector(to, bytes);
  trace(to, bytes, true, __builtin_return_address(0));
  std::memcpy(to, value, bytes);
  note_writer(to, bytes);
}

void async_copy(void* to_shared, const void* from, size_t bytes, size_t valid) {
  check_vector(to_shared, bytes);
  if (valid > bytes) fail("an asynchronous copy of more bytes than it has");
  const auto* pc = static_cast<const char*>(__builtin_return_address(0));
  if (valid > 0) {
    check_vector(from, bytes);
    trace(from, valid, false, pc);
  }
  trace(to_shared, bytes, true, pc + 1);  // a place of its own in the tables
  AsyncCopy copy{to_shared, bytes, {}};
  if (valid > 0) std::memcpy(copy.data, from, valid);
  if (!options().late_copies) {
    std::memcpy(to_shared, copy.data, bytes);
    return;
  }
  auto& groups = current_block()->running->copies;
  if (groups.empty()) groups.emplace_back();
  groups.back().push_back(copy);
}

namespace {

template <class T>
void close_group(std::vector<std::vector<T>>& groups) {
  if (groups.empty()) groups.emplace_back();
  groups.emplace_back();
}

// Takes the groups out that arrive when at most `pending` of the closed ones may be on their way,
// and does what they hold, in its order.
template <class T, class Body>
void arrive(std::vector<std::vector<T>>& groups, int pending, Body body) {
  const int closed = groups.empty() ? 0 : static_cast<int>(groups.size()) - 1;
  const int arriving = std::max(0, closed - pending);
  for (int i = 0; i < arriving; ++i)
    for (const T& item : groups[static_cast<size_t>(i)]) body(item);
  groups.erase(groups.begin(), groups.begin() + arriving);
}

}  // namespace

void async_commit() {
  close_group(current_block()->running->copies);
}

void async_wait(int pending) {
  arrive(current_block()->running->copies, pending, [](const AsyncCopy& copy) {
    std::memcpy(copy.to, copy.data, copy.bytes);
    note_writer(copy.to, copy.bytes);
  });
}

void late_start(const LateWork& work) {
  auto& groups = current_block()->running->late;
  if (groups.empty()) groups.emplace_back();
  groups.back().push_back(work);
}

void late_commit() {
  close_group(current_block()->running->late);
}

void late_wait(int pending) {
  arrive(current_block()->running->late, pending, [](const LateWork& work) { work.run(work); });
}

}  // namespace precis::simt
