// Races and unset reads. Compiled without -fsanitize=thread.
#include "kernels/simt/trace.h"

#include <dlfcn.h>
#include <pthread.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <sstream>
#include <unordered_map>

#include "kernels/simt/engine.h"
#include "kernels/simt/traffic.h"

namespace precis::simt {
namespace {

// Who touched a byte, and when in the order that barriers make.
struct Touch {
  uint32_t launch = 0, block = 0, thread = 0, barrier_epoch = 0, warp_epoch = 0;
  bool valid = false, atomic = false;
  const void* program_counter = nullptr;
};

// How many threads read a byte since its last write or since a barrier.
enum class Readers : uint8_t { none, one_thread, one_warp, one_block, many_blocks };

struct Cell {
  Touch write, read;
  Readers readers = Readers::none;
};

// The innermost frame outside of the executor and the runtime shim.
std::string source_place(const void* program_counter) {
  Dl_info library;
  if (dladdr(program_counter, &library) == 0 || library.dli_fname == nullptr) return "?";
  const auto offset = reinterpret_cast<uintptr_t>(program_counter) - 1 -
                      reinterpret_cast<uintptr_t>(library.dli_fbase);
  char command[1024], line[1024];
  std::snprintf(command, sizeof command, "addr2line -i -e '%s' 0x%lx 2>/dev/null",
                library.dli_fname, static_cast<unsigned long>(offset));
  std::string place = "?";
  FILE* output = popen(command, "r");
  if (output == nullptr) return place;
  bool found = false;
  while (std::fgets(line, sizeof line, output) != nullptr) {
    if (found) continue;
    std::string text = line;
    text.resize(std::min(text.find('\n'), text.find(" (disc")));
    found = text.find("/simt/intrinsics") == std::string::npos &&
            text.find("/runtime") == std::string::npos;
    place = text.substr(text.rfind('/') + 1);
  }
  pclose(output);
  return place;
}

bool ordered(const Touch& earlier, const Touch& later) {
  if (earlier.block != later.block) return false;
  if (earlier.thread == later.thread || earlier.barrier_epoch != later.barrier_epoch) return true;
  return earlier.thread / 32 == later.thread / 32 && earlier.warp_epoch != later.warp_epoch;
}

class Tracer {
 public:
  TraceReport report;
  Traffic traffic;

  void begin_launch(const char* kernel) {
    ++launch_;
    kernel_ = kernel;
    pthread_attr_t attributes;
    void* low = nullptr;
    size_t bytes = 0;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
    pthread_attr_getstack(&attributes, &low, &bytes);
    pthread_attr_destroy(&attributes);
    host_stack_begin_ = reinterpret_cast<uintptr_t>(low);
    host_stack_end_ = host_stack_begin_ + bytes;
  }

  void access(uintptr_t at, size_t bytes, bool write, bool atomic, const void* pc) {
    const Block* block = current_block();
    if (block == nullptr || is_private(*block, at)) return;
    const Thread& thread = *block->running;
    const SharedObject* object = shared_object_at(*block, at);
    Touch touch;
    touch.launch = launch_;
    touch.block = static_cast<uint32_t>(block->number);
    touch.thread = static_cast<uint32_t>(thread.number);
    touch.barrier_epoch = block->barrier_epoch;
    touch.warp_epoch = thread.warp_epoch;
    touch.valid = true;
    touch.atomic = atomic;
    touch.program_counter = pc;
    for (uintptr_t byte = at; byte < at + bytes; ++byte) {
      Cell& cell = cell_of(byte);
      forget_others(cell, touch, object != nullptr);
      if (object != nullptr && !write && !cell.write.valid) note_unset(touch, *object, byte);
      check_races(cell, touch, write, object, byte);
      remember(cell, touch, write);
    }
    traffic.access(touch.thread, at, bytes, write, object != nullptr, pc);
  }

 private:
  static constexpr uintptr_t kPage = 1024;
  std::unordered_map<uintptr_t, std::unique_ptr<Cell[]>> pages_;
  std::set<std::pair<const void*, const void*>> reported_;
  uint32_t launch_ = 0;
  std::string kernel_;
  uintptr_t host_stack_begin_ = 0, host_stack_end_ = 0;
  SharedObject dynamic_{};

  // What registers and parameters are on a device: the threads' stacks, the launching thread's
  // stack with the arguments, and the executor's own records.
  bool is_private(const Block& block, uintptr_t at) const {
    const auto inside = [at](const void* begin, const void* end) {
      return at >= reinterpret_cast<uintptr_t>(begin) && at < reinterpret_cast<uintptr_t>(end);
    };
    return block.stacks->contains(at) || (at >= host_stack_begin_ && at < host_stack_end_) ||
           inside(block.threads.data(), block.threads.data() + block.threads.size()) ||
           inside(&Running::now, &Running::now + 1);
  }

  const SharedObject* shared_object_at(const Block& block, uintptr_t at) {
    const auto holds = [at](const SharedObject& object) {
      const auto begin = reinterpret_cast<uintptr_t>(object.data);
      return at >= begin && at < begin + object.bytes;
    };
    for (const SharedObject& object : block.shared)
      if (holds(object)) return &object;
    dynamic_ = {nullptr, "dynamic", block.dynamic_shared, block.dynamic_shared_bytes};
    return holds(dynamic_) ? &dynamic_ : nullptr;
  }

  Cell& cell_of(uintptr_t byte) {
    auto& page = pages_[byte / kPage];
    if (!page) page = std::make_unique<Cell[]>(kPage);
    return page[byte % kPage];
  }

  // Launches are ordered; each block has shared memory of its own.
  static void forget_others(Cell& cell, const Touch& touch, bool shared) {
    const auto other = [&](const Touch& past) {
      return past.launch != touch.launch || (shared && past.block != touch.block);
    };
    if (cell.write.valid && other(cell.write)) cell.write.valid = false;
    if (cell.readers != Readers::none && other(cell.read)) cell.readers = Readers::none;
  }

  void check_races(const Cell& cell, const Touch& touch, bool write, const SharedObject* object,
                   uintptr_t byte) {
    if (cell.write.valid && !ordered(cell.write, touch) && !(cell.write.atomic && touch.atomic))
      note_race("write", cell.write, write ? "write" : "read", touch, object, byte);
    if (write && cell.readers != Readers::none && !(cell.read.atomic && touch.atomic) &&
        readers_conflict(cell, touch))
      note_race("read", cell.read, "write", touch, object, byte);
  }

  static bool readers_conflict(const Cell& cell, const Touch& touch) {
    if (!ordered(cell.read, touch) || cell.readers == Readers::many_blocks) return true;
    if (cell.read.barrier_epoch != touch.barrier_epoch) return false;
    return cell.readers == Readers::one_block ||
           (cell.readers == Readers::one_warp && cell.read.warp_epoch == touch.warp_epoch);
  }

  static void remember(Cell& cell, const Touch& touch, bool write) {
    if (write) {
      cell.write = touch;
      if (!touch.atomic) cell.readers = Readers::none;
      return;
    }
    const Touch& past = cell.read;
    if (cell.readers == Readers::none ||
        (past.block == touch.block && past.barrier_epoch != touch.barrier_epoch))
      cell.readers = Readers::one_thread;
    else if (past.block != touch.block)
      cell.readers = Readers::many_blocks;
    else if (past.thread / 32 != touch.thread / 32)
      cell.readers = std::max(cell.readers, Readers::one_block);
    else if (past.thread != touch.thread)
      cell.readers = std::max(cell.readers, Readers::one_warp);
    cell.read = touch;
  }

  static void describe(std::ostringstream& text, const char* what, const Touch& touch) {
    text << "  " << what << (touch.atomic ? " (atomic)" : "") << " by block " << touch.block
         << " thread " << touch.thread << " at " << source_place(touch.program_counter) << '\n';
  }

  static void name_memory(std::ostringstream& text, const SharedObject* object, uintptr_t byte) {
    if (object == nullptr)
      text << "global memory";
    else
      text << "shared " << object->name << '+' << byte - reinterpret_cast<uintptr_t>(object->data);
  }

  void note_race(const char* first, const Touch& a, const char* second, const Touch& b,
                 const SharedObject* object, uintptr_t byte) {
    if (!reported_.insert({a.program_counter, b.program_counter}).second) return;
    std::ostringstream text;
    text << "race in " << kernel_ << " on ";
    name_memory(text, object, byte);
    text << '\n';
    describe(text, first, a);
    describe(text, second, b);
    report.races.push_back(text.str());
  }

  void note_unset(const Touch& touch, const SharedObject& object, uintptr_t byte) {
    if (!reported_.insert({touch.program_counter, nullptr}).second) return;
    std::ostringstream text;
    text << "unset read in " << kernel_ << " of ";
    name_memory(text, &object, byte);
    text << '\n';
    describe(text, "read", touch);
    report.unset.push_back(text.str());
  }
};

Tracer*& tracer_slot() {
  static Tracer* tracer = new Tracer;
  return tracer;
}
Tracer& tracer() {
  return *tracer_slot();
}

const TraceHooks kHooks = {
    [](const char* kernel) { tracer().begin_launch(kernel); },
    [] { tracer().traffic.end_block(tracer().report); },
    [](const void* at, size_t bytes, bool write, bool atomic, const void* pc) {
      tracer().access(reinterpret_cast<uintptr_t>(at), bytes, write, atomic, pc);
    },
};

}  // namespace

const TraceReport& trace_report() {
  return tracer().report;
}

void trace_reset() {
  trace_hooks = &kHooks;
  delete tracer_slot();
  tracer_slot() = new Tracer;
}

std::string Site::place() const {
  return source_place(program_counter);
}

}  // namespace precis::simt
