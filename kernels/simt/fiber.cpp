#include "kernels/simt/fiber.h"

#include <cstdint>

#if defined(__x86_64__)
// swapcontext saves the signal mask with two system calls, which costs 25 times as much as this.
// System V ABI: rbx, rbp and r12 to r15 belong to the caller.
extern "C" void precis_simt_switch(void** save, void* load);
asm(R"(
.text
.hidden precis_simt_switch
.globl precis_simt_switch
.type precis_simt_switch,@function
precis_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size precis_simt_switch,.-precis_simt_switch
.section .note.GNU-stack,"",@progbits
.text
)");

namespace precis::simt {

void Fiber::prepare(void* stack, size_t bytes, void (*entry)()) {
  const uintptr_t end = (reinterpret_cast<uintptr_t>(stack) + bytes) & ~uintptr_t{15};
  auto** top = reinterpret_cast<void**>(end);
  *--top = nullptr;  // where entry would return to
  *--top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  stack_pointer_ = top;
}

void Fiber::switch_between(Fiber& from, Fiber& to) {
  precis_simt_switch(&from.stack_pointer_, to.stack_pointer_);
}

}  // namespace precis::simt

#else

namespace precis::simt {

void Fiber::prepare(void* stack, size_t bytes, void (*entry)()) {
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack;
  context_.uc_stack.ss_size = bytes;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
}

void Fiber::switch_between(Fiber& from, Fiber& to) {
  swapcontext(&from.context_, &to.context_);
}

}  // namespace precis::simt
#endif
