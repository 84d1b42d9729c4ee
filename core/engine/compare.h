// The difference between two checkpoints of one model, weight by weight.
#pragma once

#include <string>
#include <vector>

#include "core/base/thread_pool.h"
#include "core/engine/error_stats.h"
#include "core/engine/logical_tensor.h"

namespace precis {

class MethodResolver;

struct TensorComparison {
  std::string component, name;
  std::string method_a, method_b;  // how each side stores it: "bf16", "nf4"
  uint64_t bytes_a = 0, bytes_b = 0;
  ErrorStats error;  // of b against a
};

struct Comparison {
  std::vector<TensorComparison> tensors;    // those of both sides, in a's order
  std::vector<std::string> only_a, only_b;  // "component.name", or a whole "component"
  std::vector<std::string> other_bytes;     // integers and the like that differ, "component.name"

  // The weight with the largest relative error; null when none was compared.
  const TensorComparison* worst() const;
};

// Whether two checkpoints agree as far as `max_error`: they have the same tensors, at least one of
// them a weight, none has a larger relative error, and what is no weight is equal. Error quality
// names what does not.
Status check_agreement(const Comparison& comparison, double max_error);

// Decodes both sides in slices; a is the original. Tensors that are not numbers of a weight, such
// as position indices, are compared byte by byte. Errors: data_loss when a weight's shape differs
// between the two, and what reading says. A lone model is compared with a lone model whatever their
// names.
Result<Comparison> compare(const Checkpoint& a, const Checkpoint& b, MethodResolver& methods,
                           ThreadPool& pool);

// "bf16" of a plain tensor, "nf4" of a quantized one.
std::string storage_name(const LogicalTensor& tensor);

// Calls visit(row_begin, rows) over slices of about 64 Ki elements on all threads; stops at the
// first error.
Status for_each_slice(const Param& param, ThreadPool& pool,
                      const std::function<Status(int64_t row_begin, int64_t rows)>& visit);

}  // namespace precis
