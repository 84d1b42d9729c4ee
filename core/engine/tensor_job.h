// Making one tensor of a plan: read, encode or copy, hash, write, measure.
#pragma once

#include <functional>

#include "core/base/output_file.h"
#include "core/base/thread_pool.h"
#include "core/engine/execute.h"
#include "core/engine/journal.h"
#include "core/engine/write_behind.h"

namespace precis {

struct TensorJob {
  const TensorPlan& tensor;
  // One an output: the open file and the offset of the output in it.
  struct Target {
    const OutputFile* file = nullptr;
    uint64_t offset = 0;
  };
  std::vector<Target> targets;
  ThreadPool& pool;
  WriteBehind& writer;
  bool measure_error = true;
  const std::atomic<bool>* cancel = nullptr;
  // Encodes the tensor and measures it, or decodes `rows` of it, in another process that shares the
  // memory given to run(), and adds the error of what came out; empty: that is done here.
  std::function<Status(int64_t row, int64_t rows, ErrorStats& error)> elsewhere;

  // Does the work with `memory` of at least working_set_bytes(tensor). Digests and error go to
  // `entry`.
  Status run(std::span<std::byte> memory, JournalEntry& entry) const;

 private:
  Status copy(JournalEntry& entry) const;
  Status convert(std::span<std::byte> memory, JournalEntry& entry) const;
  Status quantize(std::span<std::byte> memory, JournalEntry& entry) const;
  Status write_encoded(JournalEntry& entry) const;
  Status write_parts(std::span<const std::span<const std::byte>> parts, JournalEntry& entry) const;
  Status finish_parts(std::span<const std::span<const std::byte>> parts, JournalEntry& entry) const;
};

TensorDigest tensor_digest(std::span<const std::byte> bytes);

}  // namespace precis
