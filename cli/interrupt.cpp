#include "cli/interrupt.h"

#include <unistd.h>

#include <csignal>
#include <string_view>

#include "cli/session.h"

namespace precis::cli {
namespace {

// Lock-free, so that a signal handler may touch them.
std::atomic<bool> as_json{false}, graceful{false}, requested{false};

constexpr std::string_view kMessage = "error[cancelled]: interrupted\n";
constexpr std::string_view kDocument =
    R"({
  "error": {
    "code": "cancelled",
    "message": "interrupted",
    "hint": "",
    "exit_code": 130
  }
}
)";
static_assert(kInterrupted == 130);

void write_text(int descriptor, std::string_view text) {
  // Nothing can be done about a failure here.
  [[maybe_unused]] const ssize_t written = ::write(descriptor, text.data(), text.size());
}

void on_signal(int) {
  if (graceful.load() && !requested.exchange(true)) return;
  write_text(STDERR_FILENO, kMessage);
  if (as_json.load()) write_text(STDOUT_FILENO, kDocument);
  ::_exit(kInterrupted);
}

void handle_with(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

void watch_interrupts(bool json) {
  as_json = json;
  handle_with(on_signal);
}

void ignore_interrupts() {
  handle_with(SIG_IGN);
}

GracefulInterrupt::GracefulInterrupt() {
  graceful = true;
}

GracefulInterrupt::~GracefulInterrupt() {
  graceful = false;
}

const std::atomic<bool>& GracefulInterrupt::requested() const {
  return cli::requested;
}

}  // namespace precis::cli
