#include "cli/crash.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "cli/session.h"
#include "core/abi/plugin_call.h"

namespace precis::cli {
namespace {

const bool* crash_in_json = nullptr;

// Everything here is safe in a signal handler.
void write_texts(int descriptor, std::initializer_list<const char*> texts) {
  for (const char* text : texts) {
    [[maybe_unused]] const ssize_t written = ::write(descriptor, text, std::strlen(text));
  }
}

[[noreturn]] void report(const PluginCall& call, const char* how) {
  // Pieces of one call end side by side; one of them reports.
  static std::atomic_flag reporting = ATOMIC_FLAG_INIT;
  while (reporting.test_and_set()) ::pause();
  write_texts(STDERR_FILENO,
              {"error[plugin]: plugin ", call.plugin, " ", how, " while ", call.doing, " '",
               call.subject, "'\n  hint: PRECIS_PLUGINS_DISABLE=", call.plugin,
               " leaves it out; once it is mended the same command goes on; "
               "precis-validate shows what is wrong with it\n"});
  // Ids hold no character that JSON escapes; names of weights may.
  if (*crash_in_json) {
    write_texts(STDOUT_FILENO,
                {"{\n  \"error\": {\n    \"code\": \"plugin\",\n    \"message\": \"plugin ",
                 call.plugin, " ", how, "\",\n    \"hint\": \"PRECIS_PLUGINS_DISABLE=", call.plugin,
                 " leaves it out\",\n    \"exit_code\": 3\n  }\n}\n"});
  }
  static_assert(kPlugin == 3);
  ::_exit(kPlugin);
}

// Sanitizers report crashes themselves.
[[maybe_unused]] void on_crash(int number) {
  const PluginCall* call = current_plugin_call();
  if (call == nullptr) {
    // The same fault again, with the system's answer to it.
    std::signal(number, SIG_DFL);
    return;
  }
  report(*call, "crashed");
}

void on_exit_of_process() {
  if (const PluginCall* call = current_plugin_call()) report(*call, "ended the process");
}

}  // namespace

void watch_crashes(const bool& json) {
  crash_in_json = &json;
  // Each thread that calls exit() takes a function off the list: one for each that may.
  constexpr int kMostThreadsThatExit = 64;
  for (int i = 0; i < kMostThreadsThatExit; ++i) std::atexit(on_exit_of_process);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  struct sigaction action {};
  action.sa_handler = on_crash;
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT})
    ::sigaction(signal, &action, nullptr);
#endif
}

}  // namespace precis::cli
