// Whether a written checkpoint is whole.
#pragma once

#include <string>
#include <vector>

#include "core/base/thread_pool.h"
#include "core/engine/compare.h"

namespace precis {

struct VerifyReport {
  std::size_t files = 0, tensors = 0;
  std::size_t hashed_tensors = 0;  // whose digest the file carries, and which were compared with it
  std::size_t undecoded_tensors = 0;  // whose stored form alone does not tell how to decode them
  std::vector<std::string> problems;  // empty: everything is right; each names file and tensor
  std::vector<std::string> notes;     // what could not be checked, and why
  Comparison comparison;              // with a source: the error of every weight
  bool compared = false;
};

// Checks structure (by opening), digests, that each config.json is the one written with the
// weights, and that every weight decodes to finite numbers where its source (if given) is finite.
// With `source`: that it is what the weights were made from, by the hashes they carry, that names
// and shapes agree, and that kept tensors are equal. Errors: only what keeps it from checking.
Result<VerifyReport> verify(const Checkpoint& checkpoint, const Checkpoint* source,
                            MethodResolver& methods, ThreadPool& pool);

// Key under which precis stores the digests of a file's tensors, and what stands before them.
inline constexpr std::string_view kDigestsKey = "precis.digests";
inline constexpr std::string_view kDigestsPrefix = "sha256-128:";

}  // namespace precis
