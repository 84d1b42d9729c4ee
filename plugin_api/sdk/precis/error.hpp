// Errors of a plugin written in C++: thrown inside, turned into status values at the ABI.
#ifndef PRECIS_SDK_ERROR_HPP
#define PRECIS_SDK_ERROR_HPP

#include <precis/precis.h>

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

// Hidden, so that two plugins built against different versions of the SDK keep their own
// definitions.
#define PRECIS_SDK_NAMESPACE_BEGIN \
  namespace precis {               \
  namespace sdk __attribute__((visibility("hidden"))) {
#define PRECIS_SDK_NAMESPACE_END \
  }                              \
  }

PRECIS_SDK_NAMESPACE_BEGIN

// Carries one of the PRECIS_* status values and a text that names the parameter or key at fault.
class PluginError : public std::exception {
 public:
  PluginError(precis_status status, std::string message)
      : status_(status), message_(std::move(message)) {}
  precis_status status() const { return status_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  precis_status status_;
  std::string message_;
};

inline std::string_view view(precis_str text) {
  return std::string_view(text.data, static_cast<std::size_t>(text.size));
}
inline precis_str str(std::string_view text) {
  return {text.data(), text.size()};
}

inline void write(const precis_sink* sink, std::string_view text) {
  sink->write(sink->ctx, text.data(), text.size());
}

inline void report(const precis_call* call, precis_status status,
                   std::string_view message) noexcept {
  if (call != nullptr && call->fail != nullptr) call->fail(call, status, str(message));
}

// Runs `body` and maps what it throws: no exception crosses the ABI.
template <typename Body>
precis_status guarded(const precis_call* call, Body&& body) noexcept {
  try {
    body();
    return PRECIS_OK;
  } catch (const PluginError& error) {
    report(call, error.status(), error.what());
    return error.status();
  } catch (const std::bad_alloc&) {
    report(call, PRECIS_OUT_OF_MEMORY, "out of memory");
    return PRECIS_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    report(call, PRECIS_INTERNAL, error.what());
    return PRECIS_INTERNAL;
  } catch (...) {
    report(call, PRECIS_INTERNAL, "unknown exception");
    return PRECIS_INTERNAL;
  }
}

PRECIS_SDK_NAMESPACE_END

#endif
