#include "validate/runner/child.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

namespace precis::validate {
namespace {

constexpr std::size_t kOutputBytes = 2000;

// What parent and child share.
struct Shared {
  std::atomic<int> kind;  // a Verdict::Kind, -1: the test is not over
  char text[8192];
  char doing[512];
  uint64_t seed;
};

Shared* shared = nullptr;  // of the child that this process is

void copy(std::string_view from, char* to, std::size_t room) {
  const std::size_t size = std::min(from.size(), room - 1);
  std::memcpy(to, from.data(), size);
  to[size] = 0;
}

[[noreturn]] void live(const std::function<Verdict()>& test, int output, Leave leave) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const struct rlimit no_core {};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  Verdict verdict;
  try {
    verdict = test();
  } catch (const std::exception& error) {
    verdict = violation("an exception crossed the ABI: {}", error.what());
  } catch (...) {
    verdict = violation("an exception crossed the ABI");
  }
  copy(verdict.text(), shared->text, sizeof shared->text);
  shared->kind = static_cast<int>(verdict.kind());
  if (leave == Leave::through_exit_handlers) std::exit(0);
  ::_exit(0);
}

// With U+FFFD for what is no UTF-8: reports are JSON and XML.
std::string legible(const std::string& text) {
  using nlohmann::json;
  return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace));
}

// Waits until the child has ended; false: it did not in time.
bool wait_for(pid_t child, std::chrono::seconds timeout) {
  const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  bool ended = false;
  while (!ended) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                          deadline - std::chrono::steady_clock::now())
                          .count();
    if (left <= 0) break;
    struct pollfd wait {
      descriptor, POLLIN, 0
    };
    ended = ::poll(&wait, 1, static_cast<int>(std::min<int64_t>(left, 60000))) > 0;
  }
  ::close(descriptor);
  return ended;
}

std::string end_of(int output) {
  const off_t size = ::lseek(output, 0, SEEK_END);
  std::string text(
      std::min<std::size_t>(kOutputBytes, static_cast<std::size_t>(std::max<off_t>(size, 0))), ' ');
  const ssize_t count =
      ::pread(output, text.data(), text.size(), size - static_cast<off_t>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return legible(text);
}

Verdict judge(const Shared& result, bool in_time, int status, std::chrono::seconds timeout) {
  const int kind = result.kind;
  const std::string during = result.doing[0] == 0 ? "" : fmt::format(" while: {}", result.doing);
  const std::string when =
      kind < 0 ? during : std::string(" after the test, when the process ended");
  if (!in_time) return violation("it did not end within {} s{}", timeout.count(), when);
  if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    return violation("it crashed (SIG{}){}", name == nullptr ? "?" : name, when);
  }
  if (kind < 0 || WEXITSTATUS(status) != 0)
    return violation("it ended the process with exit status {}{}", WEXITSTATUS(status), when);
  return Verdict(static_cast<Verdict::Kind>(kind), legible(result.text));
}

}  // namespace

ChildResult run_in_child(const std::function<Verdict()>& test, std::chrono::seconds timeout,
                         Leave leave) {
  const auto begin = std::chrono::steady_clock::now();
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const int output = ::memfd_create("output", MFD_CLOEXEC);
  if (memory == MAP_FAILED || output < 0) return {violation("no memory for a test"), {}, 0, 0};
  auto* result = new (memory) Shared{};
  result->kind = -1;
  const pid_t child = ::fork();
  if (child == 0) {
    shared = result;
    live(test, output, leave);
  }
  int status = 0;
  const bool in_time = child > 0 && wait_for(child, timeout);
  if (child > 0) {
    // The group too: a plugin may have started programs of its own.
    if (!in_time) ::kill(child, SIGKILL);
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    ::kill(-child, SIGKILL);
  }
  ChildResult ended{judge(*result, in_time, status, timeout), end_of(output), 0, result->seed};
  ended.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ::close(output);
  ::munmap(memory, sizeof(Shared));
  return ended;
}

void doing(std::string_view what) {
  if (shared != nullptr) copy(what, shared->doing, sizeof shared->doing);
}

void note_seed(uint64_t seed) {
  if (shared != nullptr) shared->seed = seed;
}

}  // namespace precis::validate
