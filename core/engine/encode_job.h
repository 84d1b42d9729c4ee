// Encoding one weight, and measuring what came out: the part of a job in which plugins work.
#pragma once

#include <atomic>
#include <functional>
#include <span>
#include <vector>

#include "core/base/thread_pool.h"
#include "core/engine/error_stats.h"
#include "core/engine/plan.h"

namespace precis {

struct EncodeJob {
  const TensorPlan& tensor;  // action quantize
  ThreadPool& pool;
  const std::atomic<bool>* cancel = nullptr;

  // Anonymous memory that encode() needs: the parts, the plugin's workspace, and the weight where
  // no file holds it as numbers.
  static uint64_t memory_bytes(const TensorPlan& tensor);
  // Where the parts lie in that memory, in the plan's order.
  std::vector<std::span<std::byte>> parts(std::span<std::byte> memory) const;

  // Reads the weight and has the plugin encode it; in between on_read is called, if it is given.
  Status encode(std::span<std::byte> memory, const std::function<void()>& on_read = {}) const;
  // Decodes `parts` and adds their distance from the source to `error`.
  Status measure(std::span<const std::span<const std::byte>> parts, ErrorStats& error) const;

 private:
  Status measure_rows(std::span<const std::span<const std::byte>> parts, int64_t row, int64_t rows,
                      ErrorStats& sums) const;
};

// Up to where the next of several buffers in one memory may begin.
uint64_t align_64(uint64_t size);

// Rows of `param` that make about `elements`, at least one.
int64_t rows_of(const Param& param, uint64_t elements);

inline constexpr uint64_t kSliceElements = 64 << 10;  // of a comparison

bool cancelled(const std::atomic<bool>* cancel);
Error cancelled_error();

}  // namespace precis
