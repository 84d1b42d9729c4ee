#include "core/engine/isolated_workers.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>

#include "core/engine/encode_job.h"

namespace precis {
namespace {

using Clock = std::chrono::steady_clock;

// How often a plugin is looked after that gives no answer.
constexpr int kLookMilliseconds = 50;
// How long the end of a process takes at most from the end of its sockets.
constexpr int kEndMilliseconds = 2000;
// How long a plugin may take to notice that it was cancelled.
constexpr std::chrono::seconds kCancelPatience{2};

Error no_process(const char* what) {
  const int reason = errno;
  const bool files = reason == EMFILE || reason == ENFILE;
  return Error(ErrorCode::io,
               fmt::format("--isolate: the system gives no {}: {}", what, std::strerror(reason)),
               fmt::format("lower --threads, {}or go without --isolate",
                           files ? "raise the limit of open files, " : ""));
}

std::string text_of(const char* text, std::size_t room) {
  return std::string(text, ::strnlen(text, room));
}

bool needs_a_plugin(const TensorPlan& tensor) {
  if (tensor.action == Action::quantize) return tensor.encoded.empty();
  return tensor.action == Action::dequantize;
}

std::size_t workers_at_once(const Plan& plan, unsigned concurrency) {
  std::size_t tensors = 0;
  for (const ComponentPlan& component : plan.components) {
    for (const TensorPlan& tensor : component.tensors) tensors += needs_a_plugin(tensor) ? 1 : 0;
  }
  return std::min<std::size_t>(concurrency, tensors);
}

bool known(int32_t code) {
  return (code >= static_cast<int32_t>(ErrorCode::cancelled) &&
          code <= static_cast<int32_t>(ErrorCode::invalid_type)) ||
         (code >= static_cast<int32_t>(ErrorCode::io) &&
          code <= static_cast<int32_t>(ErrorCode::no_space));
}

}  // namespace

struct IsolatedWorkers::Worker {
  pid_t process = -1;
  int socket = -1;
  int descriptor = -1;  // readable once the process has ended
  WorkerState* state = nullptr;

  ~Worker() {
    end();
    if (socket >= 0) ::close(socket);
    if (descriptor >= 0) ::close(descriptor);
    if (state != nullptr) ::munmap(state, sizeof *state);
  }

  // Ends the process if it still runs; how it ended, as waitpid tells it.
  int end() {
    int status = 0;
    if (process < 0) return status;
    ::kill(process, SIGKILL);
    while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    process = -1;
    return status;
  }
};

Result<std::unique_ptr<IsolatedWorkers>> IsolatedWorkers::start(const Plan& plan,
                                                                unsigned concurrency,
                                                                const IsolationOptions& options) {
  std::unique_ptr<IsolatedWorkers> result(new IsolatedWorkers(plan, options));
  // What a child would write once more.
  std::fflush(nullptr);
  const std::size_t count = workers_at_once(plan, concurrency);
  for (std::size_t i = 0; count > 0 && i < count + kMostLost - 1; ++i)
    PRECIS_TRY(result->add_worker());
  return result;
}

IsolatedWorkers::IsolatedWorkers(const Plan& plan, const IsolationOptions& options)
    : plan_(plan), options_(options) {}

IsolatedWorkers::~IsolatedWorkers() = default;

uint64_t IsolatedWorkers::overhead_bytes(const Plan& plan) {
  return workers_at_once(plan, plan.threads) * kWorkerOverheadBytes;
}

Status IsolatedWorkers::add_worker() {
  auto worker = std::make_unique<Worker>();
  void* memory = ::mmap(nullptr, sizeof(WorkerState), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return no_process("memory");
  worker->state = new (memory) WorkerState{};
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return no_process("sockets");
  worker->socket = pair[0];
  const pid_t parent = ::getpid();
  worker->process = ::fork();
  if (worker->process == 0) {
    ::close(pair[0]);
    for (const auto& other : workers_) ::close(other->socket);
    work_for_parent(parent, pair[1], *worker->state, plan_, options_.host);
  }
  const int fork_error = errno;
  ::close(pair[1]);
  errno = fork_error;
  if (worker->process < 0) return no_process("more processes");
  worker->descriptor = static_cast<int>(::syscall(SYS_pidfd_open, worker->process, 0));
  if (worker->descriptor < 0) return no_process("watch over a process");
  idle_.push_back(worker.get());
  workers_.push_back(std::move(worker));
  return {};
}

IsolatedWorkers::Worker* IsolatedWorkers::take() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return nullptr;
  Worker* worker = idle_.back();
  idle_.pop_back();
  return worker;
}

void IsolatedWorkers::give_back(Worker& worker) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(&worker);
}

Status IsolatedWorkers::run(WorkerTask task, const Buffer& memory, const std::atomic<bool>* cancel,
                            ErrorStats& error) {
  task.memory_bytes = memory.capacity();
  for (Worker* worker = nullptr; (worker = take()) != nullptr;) {
    WorkerState& state = *worker->state;
    state.cancel = false;
    state.phase = WorkerPhase::idle;
    const int failure = send_task(worker->socket, task, memory.descriptor());
    if (failure != 0 && failure != EPIPE && failure != ECONNRESET) {
      give_back(*worker);
      errno = failure;
      return no_process("message to a process");
    }
    const Outcome outcome = failure == 0 ? wait_for(*worker, cancel) : Outcome::ended;
    if (outcome == Outcome::answered) {
      error.add(state.error);
      const int32_t code = state.code;
      Status status;
      if (code != 0)
        status = Error(known(code) ? static_cast<ErrorCode>(code) : ErrorCode::internal,
                       text_of(state.message, sizeof state.message),
                       text_of(state.hint, sizeof state.hint));
      give_back(*worker);
      return status;
    }
    // One that ended between two tasks says nothing about this one.
    const bool began = state.phase != WorkerPhase::idle;
    const int status = worker->end();
    if (outcome == Outcome::cancelled) return cancelled_error();
    if (began || outcome == Outcome::silent) return describe_end(*worker, outcome, status, task);
  }
  return Error(ErrorCode::plugin, "the processes that work for it have ended between their tasks",
               "a plugin ends them from a thread of its own: precis-validate shows which");
}

IsolatedWorkers::Outcome IsolatedWorkers::wait_for(Worker& worker,
                                                   const std::atomic<bool>* cancel) const {
  WorkerState& state = *worker.state;
  uint64_t signs = state.signs_of_life;
  Clock::time_point last_sign = Clock::now();
  std::optional<Clock::time_point> cancelled_at;
  while (true) {
    struct pollfd ends[2] = {{worker.socket, POLLIN, 0}, {worker.descriptor, POLLIN, 0}};
    ::poll(ends, 2, kLookMilliseconds);
    char answer = 0;
    const ssize_t size = ::recv(worker.socket, &answer, 1, MSG_DONTWAIT);
    if (size == 1) return Outcome::answered;
    // Without its end of the socket a worker cannot answer any more, whether it lives or not.
    if (size == 0) ::poll(&ends[1], 1, kEndMilliseconds);
    if (size == 0 || ends[1].revents != 0) return Outcome::ended;
    const Clock::time_point now = Clock::now();
    if (!cancelled_at && cancelled(cancel)) {
      state.cancel = true;
      cancelled_at = now;
    }
    if (cancelled_at) {
      if (now - *cancelled_at > kCancelPatience) return Outcome::cancelled;
      continue;
    }
    if (const uint64_t more = state.signs_of_life; more != signs) {
      signs = more;
      last_sign = now;
    }
    if (now - last_sign > options_.patience) return Outcome::silent;
  }
}

Error IsolatedWorkers::describe_end(const Worker& worker, Outcome outcome, int status,
                                    const WorkerTask& task) const {
  const TensorPlan& tensor = plan_.components[task.component].tensors[task.tensor];
  const WorkerPhase phase = worker.state->phase;
  const bool decodes = tensor.action == Action::dequantize;
  const bool reading =
      decodes || (phase == WorkerPhase::reading && tensor.source.quantizer != nullptr);
  const std::string& plugin = (reading ? tensor.source.quantizer : tensor.quantizer)->plugin_id();
  std::string how;
  if (outcome == Outcome::silent) {
    how = fmt::format("has neither polled nor finished for {} s", options_.patience.count());
  } else if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    how = fmt::format("{} (SIG{})", WTERMSIG(status) == SIGKILL ? "was killed" : "crashed",
                      name == nullptr ? "?" : name);
  } else {
    how = "ended its process";
  }
  return Error(
      ErrorCode::plugin,
      fmt::format("plugin {} {} while {} it", plugin, how,
                  phase == WorkerPhase::encoding ? "quantizing" : "decoding"),
      fmt::format(
          "once the plugin is mended the same command goes on, and precis-validate "
          "shows what is wrong with it; {}PRECIS_PLUGINS_DISABLE={} leaves the plugin out{}",
          decodes ? "" : "--skip keeps such a tensor, ", plugin,
          outcome == Outcome::silent ? ", --isolate-timeout SECONDS has more patience with it"
                                     : ""));
}

uint64_t IsolatedWorkers::memory_bytes() const {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& worker : workers_) bytes += worker->state->anonymous_bytes;
  return bytes;
}

}  // namespace precis
