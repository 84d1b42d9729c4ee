#include "core/engine/execute.h"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <mutex>

#include "core/base/sha256.h"
#include "core/engine/memory_usage.h"
#include "core/engine/plan_checks.h"
#include "core/engine/result_directory.h"
#include "core/engine/tensor_job.h"

namespace precis {
namespace {

using Clock = std::chrono::steady_clock;

unsigned tensors_at_once(const Plan& plan, const ThreadPool& pool) {
  return std::min(plan.threads, pool.concurrency());
}

// One run: hands tensors to the pool as the arena has room for them.
class Run {
 public:
  Run(const Plan& plan, ResultDirectory& result, ThreadPool& pool, const ExecuteOptions& options,
      IsolatedWorkers* workers)
      : plan_(plan),
        result_(result),
        pool_(pool),
        options_(options),
        workers_(workers),
        arena_(tensors_at_once(plan, pool), plan.max_memory,
               workers == nullptr ? Sharing::none : Sharing::by_descriptor) {
    for (std::size_t c = 0; c < plan.components.size(); ++c) {
      digests_.emplace_back(plan.components[c].tensors.size());
      for (std::size_t t = 0; t < plan.components[c].tensors.size(); ++t) {
        report_.tensors.push_back({c, t, {}});
        progress_.bytes_total += plan.components[c].tensors[t].source.stored_bytes();
      }
    }
    done_.resize(report_.tensors.size(), false);
    progress_.tensors_total = report_.tensors.size();
  }

  Result<RunReport> run() {
    PRECIS_TRY(take_over_finished());
    start_more();
    pool_.help_until([this] {
      std::lock_guard lock(mutex_);
      return in_flight_ == 0 && (next_ == report_.tensors.size() || failed_);
    });
    if (!status_.ok()) return std::move(status_).error();
    if (!lost_.empty()) return error_of_lost();
    PRECIS_TRY(result_.finish(plan_, digests_));
    report_.seconds = seconds();
    report_.bytes_written = plan_.output_bytes;
    report_.peak_memory_bytes = progress_.peak_memory_bytes;
    report_.warnings = result_.warnings();
    for (std::size_t i = 0; i < report_.tensors.size(); ++i) warn_of_nonfinite(i);
    return std::move(report_);
  }

 private:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  const TensorPlan& tensor_plan(std::size_t index) const {
    return plan_.components[report_.tensors[index].component]
        .tensors[report_.tensors[index].tensor];
  }

  TensorJob job_for(std::size_t index) const {
    const TensorOutcome& outcome = report_.tensors[index];
    const ComponentPlan& component = plan_.components[outcome.component];
    const TensorPlan& tensor = component.tensors[outcome.tensor];
    TensorJob job{tensor, {}, pool_, writer_, options_.measure_error, options_.cancel, {}};
    for (const OutputTensor& output : tensor.outputs) {
      job.targets.push_back({&result_.files()[outcome.component][output.file],
                             component.files[output.file].layout.offsets[output.position]});
    }
    return job;
  }

  // A NaN in the source spoils the whole block, row or tensor that shares its scale; a number
  // beyond the range of the scale's dtype does so too.
  void warn_of_nonfinite(std::size_t index) {
    const ErrorStats& error = report_.tensors[index].error;
    const TensorPlan& tensor = tensor_plan(index);
    std::string text;
    if (error.nonfinite_original > 0) {
      text = fmt::format("{} values of the source are NaN or infinite", error.nonfinite_original);
      if (error.nonfinite_changed > 0)
        text += fmt::format(", {} of them decode to something else", error.nonfinite_changed);
      if (error.nonfinite_decoded > 0)
        text += fmt::format("; {} finite ones are lost with them", error.nonfinite_decoded);
    } else if (error.nonfinite_decoded > 0) {
      text = fmt::format("{} finite values decode to NaN or infinity: {} cannot hold them",
                         error.nonfinite_decoded, method_name(tensor));
    }
    if (!text.empty())
      report_.warnings.push_back(fmt::format("'{}': {}", tensor.source.param.name, text));
  }

  static std::string method_name(const TensorPlan& tensor) {
    return tensor.quantizer ? tensor.quantizer->spec()
                            : std::string(dtype_name(tensor.outputs.front().planned.dtype));
  }

  // A tensor of the journal counts only when its bytes are really there.
  Status take_over_finished() {
    for (const JournalEntry& entry : result_.journal().finished()) {
      if (entry.tensor >= report_.tensors.size() || done_[entry.tensor]) continue;
      const TensorJob job = job_for(entry.tensor);
      if (entry.digests.size() != job.targets.size() || is_unmeasured(job, entry)) continue;
      PRECIS_ASSIGN(const bool intact, is_intact(job, entry));
      if (!intact) continue;
      record(entry);
      ++report_.resumed_tensors;
    }
    return {};
  }

  // An earlier run with measure_error off says nothing about the error.
  bool is_unmeasured(const TensorJob& job, const JournalEntry& entry) const {
    const ErrorStats& error = entry.error;
    return options_.measure_error && job.tensor.action == Action::quantize &&
           error.elements + error.nonfinite_original + error.nonfinite_decoded <
               job.tensor.source.param.elements();
  }

  Result<bool> is_intact(const TensorJob& job, const JournalEntry& entry) const {
    for (std::size_t i = 0; i < job.targets.size(); ++i) {
      std::vector<std::byte> chunk;
      Sha256 hash;
      const uint64_t size = job.tensor.outputs[i].planned.nbytes;
      constexpr uint64_t kChunk = 1 << 20;
      for (uint64_t begin = 0; begin < size; begin += kChunk) {
        chunk.resize(std::min(kChunk, size - begin));
        PRECIS_TRY(job.targets[i].file->read_at(job.targets[i].offset + begin, chunk));
        hash.update(chunk);
      }
      const Sha256Digest digest = hash.finish();
      if (!std::equal(entry.digests[i].begin(), entry.digests[i].end(), digest.begin()))
        return false;
    }
    return true;
  }

  // Requires the lock, or no thread running yet.
  void record(const JournalEntry& entry) {
    TensorOutcome& outcome = report_.tensors[entry.tensor];
    outcome.error = entry.error;
    digests_[outcome.component][outcome.tensor] = entry.digests;
    done_[entry.tensor] = true;
    const TensorPlan& tensor = tensor_plan(entry.tensor);
    ++progress_.tensors_done;
    progress_.bytes_done += tensor.source.stored_bytes();
    progress_.bytes_written += tensor.output_bytes();
    if (tensor.action == Action::quantize &&
        entry.error.relative_error() > progress_.worst_relative_error) {
      progress_.worst_relative_error = entry.error.relative_error();
      progress_.worst_tensor = tensor.source.param.name;
    }
  }

  // Starts tensors in plan order as long as slots and memory last, and has the system read the one
  // after them meanwhile.
  void start_more() {
    std::size_t ahead = 0;
    {
      std::lock_guard lock(mutex_);
      const std::size_t before = next_;
      while (start_next()) {
      }
      if (next_ == before) return;
      ahead = next_;
    }
    // Without the lock: the system may make the caller wait for the disk.
    prefetch(ahead);
  }

  // Requires the lock. False when there is nothing more to start now.
  bool start_next() {
    while (next_ < report_.tensors.size() && done_[next_]) ++next_;
    if (failed_ || next_ == report_.tensors.size()) return false;
    auto buffer = arena_.try_take(tensor_plan(next_).working_set_bytes);
    if (!buffer.ok()) fail(std::move(buffer).error());
    if (failed_ || !*buffer) return false;
    ++in_flight_;
    auto shared = std::make_shared<Buffer>(std::move(**buffer));
    pool_.submit([this, index = next_, shared] { work(index, *shared); });
    ++next_;
    return true;
  }

  void prefetch(std::size_t index) const {
    if (index >= report_.tensors.size()) return;
    for (const LogicalTensor::Part& part : tensor_plan(index).source.parts)
      part.file->prefetch(*part.entry);
  }

  // The threads of the pool are shared by the tensors in flight.
  Status work_elsewhere(std::size_t index, int64_t row, int64_t rows, const Buffer& buffer,
                        ErrorStats& error) {
    WorkerTask task;
    task.row = row;
    task.rows = rows;
    task.component = report_.tensors[index].component;
    task.tensor = report_.tensors[index].tensor;
    task.measure = options_.measure_error ? 1 : 0;
    {
      std::lock_guard lock(mutex_);
      const std::size_t share = pool_.concurrency() / std::max<std::size_t>(in_flight_, 1);
      task.threads = static_cast<uint32_t>(std::max<std::size_t>(share, 1));
    }
    return workers_->run(task, buffer, options_.cancel, error);
  }

  void work(std::size_t index, Buffer& buffer) {
    TensorJob job = job_for(index);
    if (workers_ != nullptr)
      job.elsewhere = [&](int64_t row, int64_t rows, ErrorStats& error) {
        return work_elsewhere(index, row, rows, buffer, error);
      };
    JournalEntry entry;
    entry.tensor = index;
    Status status = job.run(buffer.bytes(buffer.capacity()), entry);
    if (status.ok()) status = result_.journal().append(entry);
    job.tensor.source.release_source();
    arena_.give_back(std::move(buffer));
    finish_tensor(index, entry, std::move(status));
    start_more();
    {
      std::lock_guard lock(mutex_);
      --in_flight_;
    }
    pool_.notify();
  }

  void finish_tensor(std::size_t index, const JournalEntry& entry, Status status) {
    std::lock_guard lock(mutex_);
    if (!status.ok()) {
      Error error = std::move(status).error();
      if (error.code() != ErrorCode::cancelled) {
        error.with_context(fmt::format("tensor '{}'", tensor_plan(index).source.param.name));
        const std::string& component = plan_.components[report_.tensors[index].component].name;
        if (!component.empty()) error.with_context(fmt::format("component {}", component));
      }
      if (workers_ != nullptr && error.code() == ErrorCode::plugin) return lose(std::move(error));
      return fail(std::move(error));
    }
    record(entry);
    progress_.seconds = seconds();
    progress_.peak_memory_bytes = std::max(progress_.peak_memory_bytes, memory_bytes());
    if (options_.progress) options_.progress(progress_);
  }

  uint64_t memory_bytes() const {
    const uint64_t own = anonymous_memory_bytes();
    return workers_ == nullptr ? own : own + arena_.reserved() + workers_->memory_bytes();
  }

  // Requires the lock. The other tensors go on.
  void lose(Error error) {
    lost_.push_back(std::move(error));
    if (lost_.size() == IsolatedWorkers::kMostLost) failed_ = true;
  }

  Error error_of_lost() const {
    Error first = lost_.front();
    if (lost_.size() == 1) return first;
    std::string others;
    for (std::size_t i = 1; i < lost_.size(); ++i) others += "; " + lost_[i].text();
    return Error(first.code(), first.text() + others, first.hint());
  }

  // Requires the lock. The first error counts.
  void fail(Error error) {
    if (!failed_) status_ = std::move(error);
    failed_ = true;
  }

  const Plan& plan_;
  ResultDirectory& result_;
  ThreadPool& pool_;
  const ExecuteOptions& options_;
  IsolatedWorkers* const workers_;  // null: everything is done in this process
  BufferArena arena_;
  mutable WriteBehind writer_;
  const Clock::time_point start_ = Clock::now();

  std::mutex mutex_;
  RunReport report_;
  Progress progress_;
  std::vector<std::vector<std::vector<TensorDigest>>> digests_;
  std::vector<bool> done_;
  std::size_t next_ = 0, in_flight_ = 0;
  bool failed_ = false;
  Status status_;
  std::vector<Error> lost_;  // of tensors whose worker came to an end
};

}  // namespace

Result<RunReport> execute(const Plan& plan, const std::filesystem::path& out, ThreadPool& pool,
                          const ExecuteOptions& options) {
  PRECIS_TRY(check_memory(plan));
  // Before files are opened for writing and threads begin to work: workers have neither.
  std::unique_ptr<IsolatedWorkers> workers;
  if (options.isolation) {
    PRECIS_ASSIGN(workers,
                  IsolatedWorkers::start(plan, tensors_at_once(plan, pool), *options.isolation));
  }
  PRECIS_ASSIGN(ResultDirectory result, ResultDirectory::open(plan, out, options));
  return Run(plan, result, pool, options, workers.get()).run();
}

}  // namespace precis
