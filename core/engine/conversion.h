// A quantized weight on its way to another method, with every value as it was.
#pragma once

#include <atomic>
#include <span>

#include "core/base/thread_pool.h"
#include "core/engine/plan.h"

namespace precis {

// What a conversion works in.
struct ConversionBuffers {
  std::span<const std::byte> weight;            // the decoded source, of the param's dtype
  std::span<const std::span<std::byte>> parts;  // as planned
  std::span<std::byte> workspace;
  std::span<std::byte> grid;  // conversion_grid_bytes(tensor)
};
uint64_t conversion_grid_bytes(const TensorPlan& tensor);

// Encodes the weight of a plan whose source is quantized, decodes what it wrote and compares every
// value with the source's, bit for bit but for the sign of zeros. Conversion::exact: error quality
// when one differs, or when the method cannot take over the source's grid; Conversion::if_exact: it
// is quantized again then.
Status convert_weight(const TensorPlan& tensor, const ConversionBuffers& buffers, ThreadPool& pool,
                      const std::atomic<bool>* cancel);

// The method cannot hold the weight's values, for this reason: error quality.
Error not_exact(const TensorPlan& tensor, const std::string& spec, const std::string& reason);

}  // namespace precis
