#include "runtime/threads/openmp_loops.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>

#include "core/abi/host.h"

namespace precis {
namespace {

// What compilers call for `#pragma omp parallel` (libgomp's ABI; LLVM's libomp has it too). Found
// at run time: linking would bring another OpenMP library than torch's, with threads of its own.
struct OpenMp {
  void (*parallel)(void (*body)(void*), void* data, unsigned threads, unsigned flags);
  int (*in_parallel)();
  int (*max_threads)();

  bool complete() const {
    return parallel != nullptr && in_parallel != nullptr && max_threads != nullptr;
  }
};

template <typename Function>
void find(Function*& function, const char* name) {
  function = reinterpret_cast<Function*>(dlsym(RTLD_DEFAULT, name));
}

const OpenMp& open_mp() {
  static const OpenMp found = [] {
    OpenMp library{};
    find(library.parallel, "GOMP_parallel");
    find(library.in_parallel, "omp_in_parallel");
    find(library.max_threads, "omp_get_max_threads");
    return library;
  }();
  return found;
}

// at::set_num_threads() sets what this returns.
unsigned concurrency() {
  if (open_mp().in_parallel() != 0) return 1;
  return static_cast<unsigned>(std::max(1, open_mp().max_threads()));
}

struct Loop {
  uint64_t n, grain, pieces;
  const std::function<void(uint64_t, uint64_t)>& fn;
  std::atomic<uint64_t> next{0};
};

void run_pieces(void* data) {
  Loop& loop = *static_cast<Loop*>(data);
  for (uint64_t piece = loop.next.fetch_add(1); piece < loop.pieces;
       piece = loop.next.fetch_add(1)) {
    const uint64_t begin = piece * loop.grain;
    loop.fn(begin, std::min(loop.n, begin + loop.grain));
  }
}

void run(uint64_t n, uint64_t grain, const std::function<void(uint64_t, uint64_t)>& fn) {
  if (n == 0) return;
  const uint64_t threads = concurrency();
  if (grain == 0) grain = std::max<uint64_t>(1, n / (threads * 4));
  const uint64_t pieces = (n - 1) / grain + 1;
  if (pieces == 1 || threads == 1) return fn(0, n);
  Loop loop{n, grain, pieces, fn, {}};
  // 0: the whole team, as torch uses it. libgomp ends the threads that a smaller team leaves out.
  open_mp().parallel(run_pieces, &loop, 0, 0);
}

constexpr LoopRunner kOpenMp{concurrency, run};

}  // namespace

void run_loops_on_openmp() {
  if (open_mp().complete()) process_host().run_loops_on(&kOpenMp);
}

void run_loops_on_pool() {
  process_host().run_loops_on(nullptr);
}

}  // namespace precis
