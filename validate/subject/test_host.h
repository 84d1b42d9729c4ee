// The host that a plugin under test is given: it counts what the plugin takes, and can be another
// one than precis itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/base/thread_pool.h"
#include "precis/host.h"

namespace precis::validate {

enum class HostKind {
  complete,  // every table of this version of the ABI
  bare,      // no table at all: all of them are optional (R9)
  newer      // a later minor: its struct is larger, the end unknown to the plugin
};

// Lives as long as the process: plugins keep its address.
class TestHost {
 public:
  static TestHost& make(HostKind kind);

  const precis_host& abi() const { return *abi_; }

  // The pool that parallel_for and concurrency mean from now on. No call is in progress.
  void use_threads(unsigned concurrency);

  // From now on parallel_for runs nothing and gives PRECIS_OUT_OF_MEMORY, or works again.
  void refuse_loops(bool refuse) { refuse_loops_ = refuse; }
  uint64_t refused_loops() const { return refused_loops_; }

  // Buffers of precis.host.memory/1 that were not given back.
  int64_t buffers() const { return buffers_; }

 private:
  explicit TestHost(HostKind kind);
  static TestHost& of(const precis_host* host) { return *static_cast<TestHost*>(host->ctx); }

  static const void* get_extension(const precis_host* host, const char* id);
  static void log(const precis_host* host, int32_t severity, precis_str message);
  static uint32_t concurrency(const precis_host* host);
  static precis_status parallel_for(const precis_host* host, uint64_t n, uint64_t grain,
                                    void (*fn)(void* ctx, uint64_t begin, uint64_t end), void* ctx);
  static precis_status alloc(const precis_host* host, precis_device device, uint64_t size,
                             uint64_t alignment, void* stream, precis_buffer* out);
  static void free_buffer(const precis_host* host, precis_buffer* buffer, void* stream);

  HostKind kind_;
  precis_host* abi_;
  std::unique_ptr<ThreadPool> pool_;
  std::atomic<int64_t> buffers_ = 0;
  std::atomic<bool> refuse_loops_ = false;
  std::atomic<uint64_t> refused_loops_ = 0;
};

// Threads that were started in this process, by whatever library. [any thread]
uint64_t threads_started();

}  // namespace precis::validate
