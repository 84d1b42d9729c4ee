#include "core/abi/host.h"

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/abi/plugin_call.h"
#include "core/base/log.h"

namespace precis {
namespace {

const Host& self(const precis_host* host) {
  return *static_cast<const Host*>(host->ctx);
}

void host_log(const precis_host*, int32_t severity, precis_str message) {
  const std::string_view text(message.data, message.size);
  switch (severity) {
    case PRECIS_LOG_DEBUG:
      logger().debug(text);
      return;
    case PRECIS_LOG_INFO:
      logger().info(text);
      return;
    case PRECIS_LOG_WARNING:
      logger().warn(text);
      return;
    default:
      logger().error(text);
      return;
  }
}

uint32_t host_concurrency(const precis_host* host) {
  const LoopRunner* runner = self(host).loop_runner();
  return runner != nullptr ? runner->concurrency() : self(host).pool().concurrency();
}

precis_status host_parallel_for(const precis_host* host, uint64_t n, uint64_t grain,
                                void (*fn)(void* ctx, uint64_t begin, uint64_t end), void* ctx) {
  const PluginCall* caller = current_plugin_call();
  const std::function<void(uint64_t, uint64_t)> piece = [=](uint64_t begin, uint64_t end) {
    const PluginCallScope scope(caller);
    fn(ctx, begin, end);
  };
  if (const LoopRunner* runner = self(host).loop_runner()) {
    runner->run(n, grain, piece);
  } else {
    self(host).pool().parallel_for(n, grain, piece);
  }
  return PRECIS_OK;
}

precis_status host_alloc(const precis_host*, precis_device device, uint64_t size,
                         uint64_t alignment, void*, precis_buffer* out) {
  if (device.type != PRECIS_DEVICE_CPU) return PRECIS_UNSUPPORTED;
  if (alignment < 64) alignment = 64;
  void* pointer = nullptr;
  if (::posix_memalign(&pointer, alignment, size) != 0) return PRECIS_OUT_OF_MEMORY;
  *out = {pointer, size, pointer, device};
  return PRECIS_OK;
}

void host_free(const precis_host*, precis_buffer* buffer, void*) {
  std::free(buffer->owner);
  *buffer = {};
}

constexpr precis_host_log_v1 kLog{host_log};
constexpr precis_host_threads_v1 kThreads{host_concurrency, host_parallel_for};
constexpr precis_host_memory_v1 kMemory{host_alloc, host_free};

const void* host_get_extension(const precis_host*, const char* id) {
  const std::string_view name(id);
  if (name == PRECIS_HOST_LOG_1) return &kLog;
  if (name == PRECIS_HOST_THREADS_1) return &kThreads;
  if (name == PRECIS_HOST_MEMORY_1) return &kMemory;
  return nullptr;
}

}  // namespace

Host::Host(ThreadPool& pool) : pool_(pool) {
  abi_ = {sizeof(precis_host), PRECIS_ABI_MAJOR, PRECIS_ABI_MINOR, 0, this, "precis", "0.1.0",
          host_get_extension};
}

Host& process_host(unsigned concurrency) {
  static Host* const host = new Host(*new ThreadPool(concurrency));
  return *host;
}

}  // namespace precis
