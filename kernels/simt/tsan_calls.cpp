// The functions that code compiled with -fsanitize=thread calls. They give its calls another
// meaning: every load and store goes to the tracer.
#include <cstddef>

#include "kernels/simt/engine.h"

namespace {

void note(const void* at, size_t bytes, bool write, const void* program_counter) {
  if (precis::simt::trace_hooks != nullptr)
    precis::simt::trace_hooks->access(at, bytes, write, false, program_counter);
}

}  // namespace

#define PRECIS_NOTE(at, bytes, write) note(at, bytes, write, __builtin_return_address(0))
#define PRECIS_ACCESSES(bytes)                   \
  void __tsan_read##bytes(void* at) {            \
    PRECIS_NOTE(at, bytes, false);               \
  }                                              \
  void __tsan_write##bytes(void* at) {           \
    PRECIS_NOTE(at, bytes, true);                \
  }                                              \
  void __tsan_volatile_read##bytes(void* at) {   \
    PRECIS_NOTE(at, bytes, false);               \
  }                                              \
  void __tsan_volatile_write##bytes(void* at) {  \
    PRECIS_NOTE(at, bytes, true);                \
  }                                              \
  void __tsan_unaligned_read##bytes(void* at) {  \
    PRECIS_NOTE(at, bytes, false);               \
  }                                              \
  void __tsan_unaligned_write##bytes(void* at) { \
    PRECIS_NOTE(at, bytes, true);                \
  }

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
PRECIS_ACCESSES(1)
PRECIS_ACCESSES(2)
PRECIS_ACCESSES(4)
PRECIS_ACCESSES(8)
PRECIS_ACCESSES(16)
void __tsan_read_range(void* at, size_t bytes) {
  PRECIS_NOTE(at, bytes, false);
}
void __tsan_write_range(void* at, size_t bytes) {
  PRECIS_NOTE(at, bytes, true);
}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}

// Host code in the same file, such as the guard of a static variable.
char __tsan_atomic8_load(const volatile char* at, int) {
  return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}
void __tsan_atomic8_store(volatile char* at, char value, int) {
  __atomic_store_n(at, value, __ATOMIC_SEQ_CST);
}
int __tsan_atomic32_load(const volatile int* at, int) {
  return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}
void __tsan_atomic32_store(volatile int* at, int value, int) {
  __atomic_store_n(at, value, __ATOMIC_SEQ_CST);
}
int __tsan_atomic32_fetch_add(volatile int* at, int value, int) {
  return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
}
}
