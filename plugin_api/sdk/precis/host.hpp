// The host's services for a plugin written in C++.
#ifndef PRECIS_SDK_HOST_HPP
#define PRECIS_SDK_HOST_HPP

#include <precis/precis.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "error.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

// The host that init was called with. Its tables are optional: everything here works without them.
class Host {
 public:
  static Host& get() {
    static Host host;
    return host;
  }

  void attach(const precis_host* host) {
    host_ = host;
    log_ = static_cast<const precis_host_log_v1*>(host->get_extension(host, PRECIS_HOST_LOG_1));
    threads_ = static_cast<const precis_host_threads_v1*>(
        host->get_extension(host, PRECIS_HOST_THREADS_1));
  }

  void log(int32_t severity, std::string_view message) const {
    if (log_ != nullptr) log_->log(host_, severity, str(message));
  }

  // How many pieces of work can run at once.
  uint32_t concurrency() const { return threads_ == nullptr ? 1 : threads_->concurrency(host_); }

  // Calls body(begin, end) over pieces of [0, n) of about `grain` items on the host's threads. What
  // a piece throws is thrown again here, as a PluginError, once all pieces are done; the first one
  // wins. Throws the host's status when it did not run every piece.
  template <typename Body>
  void parallel_for(uint64_t n, uint64_t grain, Body&& body) const {
    if (n == 0) return;
    if (threads_ == nullptr) return body(uint64_t{0}, n);
    struct Context {
      Body* body;
      std::atomic<bool> failed{false};
      std::optional<PluginError> error;

      void keep(precis_status status, const char* text) noexcept {
        try {
          error.emplace(status, text);
        } catch (...) {  // no memory for the text
        }
      }
    } context{&body, {}, {}};
    const precis_status ran = threads_->parallel_for(
        host_, n, grain,
        [](void* ctx, uint64_t begin, uint64_t end) {
          auto& shared = *static_cast<Context*>(ctx);
          if (shared.failed.load(std::memory_order_relaxed)) return;
          try {
            (*shared.body)(begin, end);
          } catch (...) {
            if (shared.failed.exchange(true)) return;
            tell_caught([&](precis_status status, const char* text) { shared.keep(status, text); });
          }
        },
        &context);
    if (context.failed)
      throw context.error ? *context.error : PluginError(PRECIS_OUT_OF_MEMORY, "out of memory");
    if (ran != PRECIS_OK) throw PluginError(ran, "the host did not run every piece of the work");
  }

 private:
  const precis_host* host_ = nullptr;
  const precis_host_log_v1* log_ = nullptr;
  const precis_host_threads_v1* threads_ = nullptr;
};

// Throws PRECIS_CANCELLED when the host asks to stop; call it at least every 100 ms of work.
inline void poll(const precis_call* call, double fraction) {
  if (call->poll != nullptr && call->poll(call, fraction, str("")) != 0) {
    throw PluginError(PRECIS_CANCELLED, "cancelled");
  }
}

PRECIS_SDK_NAMESPACE_END

#endif
