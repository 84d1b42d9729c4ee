#include "core/engine/result_directory.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "core/base/byte_size.h"
#include "core/base/sha256.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

constexpr const char* kJournalName = ".precis-journal";
constexpr const char* kSingleFileName = ".precis-weights";

fs::path with_suffix(fs::path path, const char* suffix) {
  // "out/" and "out" are the same place.
  if (path.filename().empty()) path = path.parent_path();
  path += suffix;
  return path;
}

bool is_single_file(const Plan& plan) {
  return plan.components.front().files.front().path.empty();
}

Status check_target(const fs::path& out, bool single_file, bool force) {
  std::error_code error;
  const fs::file_status status = fs::status(out, error);
  if (!fs::exists(status)) return {};
  if (!force) {
    return Error(ErrorCode::io, fmt::format("{}: exists already", out.string()),
                 "choose another name, or replace it with --force");
  }
  if (fs::is_directory(status) == single_file) {
    return Error(
        ErrorCode::io,
        fmt::format("{}: is {}, the result is {}", out.string(),
                    single_file ? "a directory" : "a file", single_file ? "a file" : "a directory"),
        "choose another name");
  }
  return {};
}

// What the disk really holds of an interrupted run: its files have their final size from the start.
uint64_t allocated_bytes(const fs::path& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(directory, error)) {
    struct stat status {};
    if (::stat(entry.path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    bytes += static_cast<uint64_t>(status.st_blocks) * 512;
  }
  return bytes;
}

// Before anything is created, so that a run that cannot fit leaves nothing behind.
Status check_space(const Plan& plan, const fs::path& partial) {
  std::error_code error;
  fs::path existing = fs::absolute(partial, error);
  while (!fs::exists(existing, error) && existing.has_relative_path())
    existing = existing.parent_path();
  struct statvfs status {};
  // Filesystems that hold no files, such as /proc, report no blocks at all.
  if (::statvfs(existing.c_str(), &status) != 0 || status.f_blocks == 0) return {};
  const uint64_t available = uint64_t{status.f_bavail} * status.f_frsize + allocated_bytes(partial);
  if (available >= plan.output_bytes) return {};
  return Error(ErrorCode::no_space,
               fmt::format("{}: the result takes {}, the disk has {} left", partial.string(),
                           format_bytes(plan.output_bytes), format_bytes(available)),
               "free some space or choose another disk");
}

// Removes everything but the journal: leftovers of a run with another plan.
void clear_directory(const fs::path& directory) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().filename() != kJournalName) fs::remove_all(entry.path(), error);
  }
}

}  // namespace

fs::path ResultDirectory::path_of(const fs::path& relative) const {
  return partial_ / (relative.empty() ? fs::path(kSingleFileName) : relative);
}

Result<ResultDirectory> ResultDirectory::open(const Plan& plan, const fs::path& out,
                                              const ExecuteOptions& options) {
  PRECIS_TRY(check_target(out, is_single_file(plan), options.force));
  const fs::path partial = with_suffix(out, ".partial");
  PRECIS_TRY(check_space(plan, partial));
  std::error_code error;
  if (!options.resume) fs::remove_all(partial, error);
  fs::create_directories(partial, error);
  if (error) return system_error(partial, "create", error.value());
  PRECIS_ASSIGN(Journal journal, Journal::open(partial / kJournalName, plan.fingerprint));
  ResultDirectory result(out, partial, std::move(journal));
  result.force_ = options.force;
  if (result.journal_.replaced()) {
    clear_directory(partial);
    result.warnings_.push_back(
        fmt::format("{}: an earlier run had another source or other options; it begins anew",
                    partial.string()));
  }
  for (const ComponentPlan& component : plan.components) {
    auto& files = result.files_.emplace_back();
    for (const OutputFilePlan& file : component.files) {
      const fs::path path = result.path_of(file.path);
      fs::create_directories(path.parent_path(), error);
      if (error) return system_error(path.parent_path(), "create", error.value());
      PRECIS_ASSIGN(OutputFile open_file, OutputFile::open(path, file.layout.file_size));
      PRECIS_TRY(open_file.write_at(
          0, std::as_bytes(std::span(file.layout.header.data(), file.layout.header.size()))));
      files.push_back(std::move(open_file));
    }
  }
  return result;
}

Status ResultDirectory::finish(const Plan& plan,
                               const std::vector<std::vector<std::vector<TensorDigest>>>& digests) {
  for (std::size_t c = 0; c < plan.components.size(); ++c) {
    const ComponentPlan& component = plan.components[c];
    for (std::size_t f = 0; f < component.files.size(); ++f) {
      // In the order of the names, so that a reader needs nothing but the file.
      std::map<std::string_view, std::string> by_name;
      for (const auto& [tensor, output] : component.files[f].tensors) {
        by_name[component.tensors[tensor].outputs[output].planned.name] =
            to_hex(digests[c][tensor][output]);
      }
      std::string text;
      for (const auto& [name, digest] : by_name) text += digest;
      PRECIS_TRY(files_[c][f].write_at(component.files[f].digests_offset,
                                       std::as_bytes(std::span(text.data(), text.size()))));
      PRECIS_TRY(files_[c][f].sync());
    }
  }
  std::error_code error;
  for (const TextFilePlan& text : plan.text_files) {
    fs::create_directories(path_of(text.path).parent_path(), error);
    PRECIS_TRY(write_file_atomically(path_of(text.path), text.contents));
  }
  for (const fs::path& relative : plan.carried_files) {
    fs::create_directories(path_of(relative).parent_path(), error);
    fs::copy_file(plan.source / relative, path_of(relative), fs::copy_options::overwrite_existing,
                  error);
    if (error) return system_error(path_of(relative), "copy", error.value());
  }
  return put_in_place(is_single_file(plan));
}

Status ResultDirectory::put_in_place(bool single_file) {
  const fs::path result = single_file ? path_of({}) : partial_;
  std::error_code error;
  PRECIS_TRY(sync_directory(partial_));
  fs::path out = out_.filename().empty() ? out_.parent_path() : out_;
  // A directory cannot be replaced in one step: the old one moves aside first and goes last.
  const fs::path old = with_suffix(out_, ".old");
  const bool replace = force_ && !single_file && fs::exists(out, error);
  if (replace) {
    fs::remove_all(old, error);
    fs::rename(out, old, error);
    if (error) return system_error(out, "move aside", error.value());
  }
  if (!single_file) fs::remove(partial_ / kJournalName, error);
  fs::rename(result, out, error);
  if (error) return system_error(out, "put in place", error.value());
  const fs::path parent = out.has_parent_path() ? out.parent_path() : fs::path(".");
  PRECIS_TRY(sync_directory(parent));
  if (replace) fs::remove_all(old, error);
  if (single_file) fs::remove_all(partial_, error);
  return {};
}

}  // namespace precis
