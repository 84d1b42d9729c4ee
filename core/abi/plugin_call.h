// Which plugin a thread is in, so that whoever reports the end of the process can name it.
#pragma once

#include <exception>
#include <string>

#include "core/abi/call.h"

namespace precis {

// A call into a plugin; the texts outlive it.
struct PluginCall {
  const char* plugin;   // its id
  const char* doing;    // "quantizing"
  const char* subject;  // the weight's name
};

// The innermost call that this thread is in, null when it is in none. Safe in a signal handler.
const PluginCall* current_plugin_call();

// Makes `call` this thread's own as long as the scope lives; null is allowed. Pieces of work that a
// plugin splits run in the scope of its call.
class PluginCallScope {
 public:
  explicit PluginCallScope(const PluginCall* call);
  ~PluginCallScope();
  PluginCallScope(const PluginCallScope&) = delete;
  PluginCallScope& operator=(const PluginCallScope&) = delete;

 private:
  const PluginCall* outer_;
};

// Calls body() within `scope` and gives its status. An exception that a plugin lets through becomes
// PRECIS_ABI_MISMATCH, reported through `call`; one of another C++ library, or out of work that it
// split, still ends the process.
template <typename Body>
precis_status in_plugin(const PluginCall& scope, const precis_call* call, Body&& body) {
  const PluginCallScope entered(&scope);
  const auto thrown = [&](const std::string& what) {
    const std::string text = "plugin " + std::string(scope.plugin) +
                             " let an exception out while " + scope.doing + " '" + scope.subject +
                             "': " + what;
    call->fail(call, PRECIS_ABI_MISMATCH, to_abi(text));
    return PRECIS_ABI_MISMATCH;
  };
  try {
    return body();
  } catch (const std::exception& error) {
    return thrown(error.what());
  } catch (...) {
    return thrown("of an unknown type");
  }
}

}  // namespace precis
