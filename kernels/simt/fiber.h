// A fiber: a stack and the registers to go on with it.
#pragma once

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace precis::simt {

class Fiber {
 public:
  // The next switch to this fiber calls entry(), which never returns, on the given stack.
  void prepare(void* stack, size_t bytes, void (*entry)());

  // Saves the running code in `from` and goes on with `to`.
  static void switch_between(Fiber& from, Fiber& to);

 private:
#if defined(__x86_64__)
  void* stack_pointer_ = nullptr;
#else
  ucontext_t context_;
#endif
};

}  // namespace precis::simt
