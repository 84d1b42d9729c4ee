#include "validate/subject/test_host.h"

#include <dlfcn.h>
#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "validate/subject/older_host.h"

namespace precis::validate {
namespace {

std::atomic<uint64_t> started = 0;

}  // namespace

uint64_t threads_started() {
  return started;
}

TestHost& TestHost::make(HostKind kind) {
  return *new TestHost(kind);
}

TestHost::TestHost(HostKind kind) : kind_(kind), pool_(std::make_unique<ThreadPool>(1)) {
  constexpr std::size_t kLater = 64;
  auto* memory = static_cast<unsigned char*>(std::malloc(sizeof(precis_host) + kLater));
  std::memset(memory, 0xff, sizeof(precis_host) + kLater);
  const bool newer = kind == HostKind::newer;
  abi_ = new (memory) precis_host{static_cast<uint32_t>(sizeof(precis_host) + (newer ? kLater : 0)),
                                  PRECIS_ABI_MAJOR,
                                  newer ? PRECIS_ABI_MINOR + 7u : host_minor(),
                                  0,
                                  this,
                                  "precis-validate",
                                  "0.1.0",
                                  get_extension};
}

void TestHost::use_threads(unsigned concurrency) {
  pool_ = std::make_unique<ThreadPool>(concurrency);
}

const void* TestHost::get_extension(const precis_host* host, const char* id) {
  static constexpr precis_host_log_v1 kLog{log};
  static constexpr precis_host_threads_v1 kThreads{concurrency, parallel_for};
  static constexpr precis_host_memory_v1 kMemory{alloc, free_buffer};
  const std::string_view name(id);
  if (of(host).kind_ == HostKind::bare) return nullptr;
  if (name == PRECIS_HOST_LOG_1) return &kLog;
  if (name == PRECIS_HOST_THREADS_1) return &kThreads;
  return name == PRECIS_HOST_MEMORY_1 ? &kMemory : nullptr;
}

void TestHost::log(const precis_host*, int32_t, precis_str message) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(message.size), message.data);
}

uint32_t TestHost::concurrency(const precis_host* host) {
  return of(host).pool_->concurrency();
}

precis_status TestHost::parallel_for(const precis_host* host, uint64_t n, uint64_t grain,
                                     void (*fn)(void* ctx, uint64_t begin, uint64_t end),
                                     void* ctx) {
  if (of(host).refuse_loops_) {
    ++of(host).refused_loops_;
    return PRECIS_OUT_OF_MEMORY;
  }
  of(host).pool_->parallel_for(n, grain,
                               [fn, ctx](uint64_t begin, uint64_t end) { fn(ctx, begin, end); });
  return PRECIS_OK;
}

precis_status TestHost::alloc(const precis_host* host, precis_device device, uint64_t size,
                              uint64_t alignment, void*, precis_buffer* out) {
  if (device.type != PRECIS_DEVICE_CPU) return PRECIS_UNSUPPORTED;
  void* pointer = nullptr;
  if (::posix_memalign(&pointer, alignment < 64 ? 64 : alignment, size) != 0)
    return PRECIS_OUT_OF_MEMORY;
  ++of(host).buffers_;
  *out = {pointer, size, pointer, device};
  return PRECIS_OK;
}

void TestHost::free_buffer(const precis_host* host, precis_buffer* buffer, void*) {
  if (buffer->owner == nullptr) return;
  std::free(buffer->owner);
  --of(host).buffers_;
  *buffer = {};
}

}  // namespace precis::validate

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
// The loader binds every library of the process to this one, plugins included. Sanitizers need the
// place for their own.
extern "C" __attribute__((visibility("default"))) int pthread_create(
    pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(::dlsym(RTLD_NEXT, "pthread_create"));
  ++precis::validate::started;
  return create(thread, attributes, body, argument);
}
#endif
