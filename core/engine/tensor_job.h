// Making one tensor of a plan: read, encode or copy, hash, write, measure.
#pragma once

#include "core/base/output_file.h"
#include "core/base/thread_pool.h"
#include "core/engine/execute.h"
#include "core/engine/journal.h"

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
  bool measure_error = true;
  const std::atomic<bool>* cancel = nullptr;

  // Does the work with `memory` of at least working_set_bytes(tensor). Digests and error go to
  // `entry`.
  Status run(std::span<std::byte> memory, JournalEntry& entry) const;

 private:
  Status copy(JournalEntry& entry) const;
  Status convert(std::span<std::byte> memory, JournalEntry& entry) const;
  Status quantize(std::span<std::byte> memory, JournalEntry& entry) const;
  Status measure(const Param& param, std::span<const std::span<const std::byte>> parts,
                 ErrorStats& error) const;
};

TensorDigest tensor_digest(std::span<const std::byte> bytes);

}  // namespace precis
