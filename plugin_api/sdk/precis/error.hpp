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

// Calls take(status, text) for the exception that is being handled; called in a handler. What it
// gives is kept where std::exception_ptr would be: in a process with two C++ libraries, of which
// one made the exception and the other the pointer, that loses what it was.
template <typename Take>
void tell_caught(Take&& take) {
  try {
    throw;
  } catch (const PluginError& error) {
    take(error.status(), error.what());
  } catch (const std::bad_alloc&) {
    take(PRECIS_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception& error) {
    take(PRECIS_INTERNAL, error.what());
  } catch (...) {
    take(PRECIS_INTERNAL, "unknown exception");
  }
}

// Runs `body` and maps what it throws: no exception crosses the ABI.
template <typename Body>
precis_status guarded(const precis_call* call, Body&& body) noexcept {
  try {
    body();
    return PRECIS_OK;
  } catch (...) {
    precis_status result = PRECIS_INTERNAL;
    tell_caught([&](precis_status status, const char* text) {
      result = status;
      report(call, status, text);
    });
    return result;
  }
}

PRECIS_SDK_NAMESPACE_END

#endif
