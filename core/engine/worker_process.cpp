#include "core/engine/worker_process.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/abi/call.h"
#include "core/engine/decode_job.h"
#include "core/engine/encode_job.h"
#include "core/engine/memory_usage.h"

namespace precis {
namespace {

// With room for one descriptor beside the task.
struct Message {
  explicit Message(WorkerTask& task) : content{&task, sizeof task} {
    header.msg_iov = &content;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
  }
  iovec content;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
};

// The descriptor that came with a task; -1: the parent is gone.
int receive_task(int socket, WorkerTask& task) {
  Message message(task);
  ssize_t size = 0;
  while ((size = ::recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
  }
  const cmsghdr* entry = CMSG_FIRSTHDR(&message.header);
  if (size != sizeof task || entry == nullptr || entry->cmsg_type != SCM_RIGHTS) return -1;
  int descriptor = -1;
  std::memcpy(&descriptor, CMSG_DATA(entry), sizeof descriptor);
  return descriptor;
}

void copy_text(std::string_view from, char* to, std::size_t room) {
  const std::size_t size = std::min(from.size(), room - 1);
  std::memcpy(to, from.data(), size);
  to[size] = 0;
}

// Loops of the plugin on the threads of the task.
ThreadPool* loop_pool = nullptr;
constexpr LoopRunner kLoops{
    [] { return loop_pool->concurrency(); },
    [](uint64_t n, uint64_t grain, const std::function<void(uint64_t, uint64_t)>& fn) {
      loop_pool->parallel_for(n, grain, fn);
    }};

Status encode_and_measure(const TensorPlan& tensor, std::span<std::byte> memory, bool measure,
                          WorkerState& state) {
  const EncodeJob job{tensor, *loop_pool, &state.cancel};
  state.phase = tensor.source.plain() ? WorkerPhase::encoding : WorkerPhase::reading;
  PRECIS_TRY(job.encode(memory, [&] { state.phase = WorkerPhase::encoding; }));
  if (!measure) return {};
  state.phase = WorkerPhase::measuring;
  std::vector<std::span<const std::byte>> parts;
  for (const std::span<std::byte> part : job.parts(memory)) parts.push_back(part);
  return job.measure(parts, state.error);
}

Status work_on(const TensorPlan& tensor, const WorkerTask& task, std::span<std::byte> memory,
               WorkerState& state) {
  if (tensor.action == Action::quantize)
    return encode_and_measure(tensor, memory, task.measure != 0, state);
  state.phase = WorkerPhase::reading;
  return DecodeJob{tensor}.decode(task.row, task.rows, memory, state.error);
}

void carry_out(const WorkerTask& task, int descriptor, WorkerState& state, const Plan& plan,
               Host* host) {
  const TensorPlan& tensor = plan.components[task.component].tensors[task.tensor];
  ThreadPool pool(task.threads);
  loop_pool = &pool;
  if (host != nullptr) host->run_loops_on(&kLoops);
  state.error = {};
  Status status;
  void* memory = nullptr;
  if (task.memory_bytes > 0) {
    memory = ::mmap(nullptr, task.memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory == MAP_FAILED)
      status = Error(ErrorCode::out_of_memory, "the system maps no more memory");
  }
  if (status.ok())
    status = work_on(tensor, task, {static_cast<std::byte*>(memory), task.memory_bytes}, state);
  state.code = status.ok() ? 0 : static_cast<int32_t>(status.error().code());
  if (!status.ok()) {
    copy_text(status.error().text(), state.message, sizeof state.message);
    copy_text(status.error().hint(), state.hint, sizeof state.hint);
  }
  if (memory != nullptr && memory != MAP_FAILED) ::munmap(memory, task.memory_bytes);
  tensor.source.release_source();
}

// Interrupts are the parent's business, and how this process ends is for the parent to tell.
void become_worker(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, SIG_IGN);
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(number, SIG_DFL);
  // A plugin that calls exit() takes none of the parent's exit handlers along: the last registered
  // is the first called.
  std::atexit([] { ::_exit(0); });
}

}  // namespace

int send_task(int socket, const WorkerTask& task, int descriptor) {
  WorkerTask copy = task;
  Message message(copy);
  cmsghdr* entry = CMSG_FIRSTHDR(&message.header);
  entry->cmsg_level = SOL_SOCKET;
  entry->cmsg_type = SCM_RIGHTS;
  entry->cmsg_len = CMSG_LEN(sizeof descriptor);
  std::memcpy(CMSG_DATA(entry), &descriptor, sizeof descriptor);
  return ::sendmsg(socket, &message.header, MSG_NOSIGNAL) == sizeof copy ? 0 : errno;
}

void work_for_parent(pid_t parent, int socket, WorkerState& state, const Plan& plan, Host* host) {
  become_worker(parent);
  count_signs_of_life(&state.signs_of_life);
  const uint64_t at_start = anonymous_memory_bytes();
  WorkerTask task;
  for (int descriptor = 0; (descriptor = receive_task(socket, task)) >= 0;) {
    carry_out(task, descriptor, state, plan, host);
    ::close(descriptor);
    const uint64_t now = anonymous_memory_bytes();
    state.anonymous_bytes = now > at_start ? now - at_start : 0;
    const char answer = 1;
    if (::send(socket, &answer, 1, MSG_NOSIGNAL) != 1) break;
  }
  ::_exit(0);
}

}  // namespace precis
