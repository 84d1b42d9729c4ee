// The unfinished result of a run beside its final place: files, journal, and the last rename.
#pragma once

#include <filesystem>
#include <vector>

#include "core/base/output_file.h"
#include "core/engine/execute.h"
#include "core/engine/journal.h"

namespace precis {

// `out`.partial while a run is going on. A result of one file lies in it under a fixed name.
class ResultDirectory {
 public:
  // Creates or reopens `out`.partial for this plan. Errors: io when `out` exists and may not be
  // replaced, when the disk lacks space, or when the place cannot be written.
  static Result<ResultDirectory> open(const Plan& plan, const std::filesystem::path& out,
                                      const ExecuteOptions& options);

  Journal& journal() { return journal_; }
  // [component][file], open for writing, headers written.
  const std::vector<std::vector<OutputFile>>& files() const { return files_; }
  std::vector<std::string>& warnings() { return warnings_; }

  // Writes digests, text files and carried files, syncs everything and renames it to `out`.
  // digests: [component][tensor][output].
  Status finish(const Plan& plan,
                const std::vector<std::vector<std::vector<TensorDigest>>>& digests);

 private:
  ResultDirectory(std::filesystem::path out, std::filesystem::path partial, Journal journal)
      : out_(std::move(out)), partial_(std::move(partial)), journal_(std::move(journal)) {}

  std::filesystem::path path_of(const std::filesystem::path& relative) const;
  Status put_in_place(bool single_file);

  std::filesystem::path out_, partial_;
  Journal journal_;
  bool force_ = false;
  std::vector<std::vector<OutputFile>> files_;
  std::vector<std::string> warnings_;
};

}  // namespace precis
