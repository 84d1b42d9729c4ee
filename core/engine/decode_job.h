// Decoding one weight to plain numbers, some rows at a time: the part of a job in which the plugin
// of a stored weight works.
#pragma once

#include <span>

#include "core/engine/error_stats.h"
#include "core/engine/plan.h"

namespace precis {

struct DecodeJob {
  const TensorPlan& tensor;  // action cast or dequantize

  DType dtype() const { return tensor.outputs.front().planned.dtype; }
  // How many rows are decoded at a time.
  int64_t step() const;
  uint64_t bytes_of(int64_t rows) const;
  // Anonymous memory for one step.
  static uint64_t memory_bytes(const TensorPlan& tensor);

  // Decodes rows [row, row + rows) to the start of `memory`, and adds to `error` what became of
  // them where numbers did not fit the dtype.
  Status decode(int64_t row, int64_t rows, std::span<std::byte> memory, ErrorStats& error) const;

 private:
  Status measure(int64_t row, int64_t rows, std::span<const std::byte> decoded,
                 ErrorStats& error) const;
};

}  // namespace precis
