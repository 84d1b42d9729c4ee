// Ctrl-C and SIGTERM.
#pragma once

#include <atomic>

namespace precis::cli {

// From now on a signal ends the process with exit code 130, after saying so on standard error and,
// with `json`, as a JSON document on standard output.
void watch_interrupts(bool json);

// No signal is taken any more: the result is on its way out, whole.
void ignore_interrupts();

// While one lives, the first signal sets `requested` and the run comes to an end at a place from
// which it can go on; the second one ends the process at once.
class GracefulInterrupt {
 public:
  GracefulInterrupt();
  ~GracefulInterrupt();
  GracefulInterrupt(const GracefulInterrupt&) = delete;
  GracefulInterrupt& operator=(const GracefulInterrupt&) = delete;

  const std::atomic<bool>& requested() const;
};

}  // namespace precis::cli
