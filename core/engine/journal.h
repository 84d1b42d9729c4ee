// The journal of a run: which tensors are done, so that a killed run goes on where it stopped.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/engine/error_stats.h"

namespace precis {

// First half of the SHA-256 of a tensor's stored bytes.
using TensorDigest = std::array<uint8_t, 16>;

// What the journal says of one finished tensor of the plan.
struct JournalEntry {
  std::size_t tensor = 0;             // running number over all components
  std::vector<TensorDigest> digests;  // one an output
  ErrorStats error;
};

// An append-only text file in the directory of the unfinished result. A line carries its own check
// sum: a torn last line is ignored.
class Journal {
 public:
  // Opens the journal of a result with this fingerprint and locks it against a second process. An
  // existing journal with the same fingerprint is continued; one with another is begun anew, as is
  // every one unless `resume`.
  // Errors: io; failed_precondition when another process holds it.
  static Result<Journal> open(const std::filesystem::path& path, const std::string& fingerprint,
                              bool resume = true);
  Journal(Journal&& other) noexcept;
  ~Journal();

  // What an earlier run finished.
  const std::vector<JournalEntry>& finished() const { return finished_; }
  // True when an earlier run with another fingerprint was found and dropped.
  bool replaced() const { return replaced_; }

  // [any thread]
  Status append(const JournalEntry& entry);

 private:
  Journal(int descriptor, std::filesystem::path path)
      : descriptor_(descriptor), path_(std::move(path)) {}

  int descriptor_;
  std::filesystem::path path_;
  std::mutex mutex_;
  std::vector<JournalEntry> finished_;
  bool replaced_ = false;
};

}  // namespace precis
