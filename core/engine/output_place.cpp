#include "core/engine/output_place.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "core/base/byte_size.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

fs::path resolved(const fs::path& path) {
  std::error_code error;
  fs::path whole = fs::weakly_canonical(fs::absolute(path, error), error);
  return whole.filename().empty() ? whole.parent_path() : whole;
}

bool contains(const fs::path& directory, const fs::path& path) {
  return std::mismatch(directory.begin(), directory.end(), path.begin(), path.end()).first ==
         directory.end();
}

// A result may not replace or grow inside of what it is made from.
Status check_apart_from_source(const fs::path& source, const fs::path& out) {
  const fs::path from = resolved(source), to = resolved(out);
  std::error_code error;
  const char* relation = nullptr;
  if (from == to) {
    relation = "is the source itself";
  } else if (contains(to, from)) {
    relation = "contains the source";
  } else if (fs::is_directory(from, error) && contains(from, to)) {
    relation = "lies in the source";
  }
  if (relation == nullptr) return {};
  return Error(ErrorCode::io, fmt::format("{}: {} ({})", out.string(), relation, source.string()),
               "write to a place beside it");
}

// What --force may replace: a directory of a checkpoint, so that a mistyped name costs no one's
// files.
bool is_checkpoint(const fs::path& directory) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const fs::path name = entry.path().filename(), extension = name.extension();
    if (name == "model_index.json" || name == "config.json" || extension == ".safetensors" ||
        extension == ".gguf") {
      return true;
    }
  }
  return false;
}

Status check_existing(const fs::path& out, bool single_file, bool force) {
  std::error_code error;
  const fs::file_status status = fs::status(out, error);
  const bool directory = fs::is_directory(status);
  if (!fs::exists(status) || (directory && !single_file && fs::is_empty(out, error))) return {};
  if (!force) {
    return Error(ErrorCode::io, fmt::format("{}: exists already", out.string()),
                 "choose another name, or replace it with --force");
  }
  if (directory == single_file) {
    return Error(
        ErrorCode::io,
        fmt::format("{}: is {}, the result is {}", out.string(),
                    single_file ? "a directory" : "a file", single_file ? "a file" : "a directory"),
        "choose another name");
  }
  if (directory && !is_checkpoint(out)) {
    return Error(ErrorCode::io,
                 fmt::format("{}: is a directory with other files and no checkpoint; --force does "
                             "not replace it",
                             out.string()),
                 "choose another name, or remove it yourself");
  }
  if (directory && resolved(out) == resolved(".")) {
    return Error(ErrorCode::io, fmt::format("{}: is the working directory", out.string()),
                 "choose another name, or run from elsewhere");
  }
  return {};
}

Status check_partial(const fs::path& partial) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(partial, error);
  if (!fs::exists(status) || (fs::is_directory(status) && fs::is_empty(partial, error))) return {};
  if (fs::is_directory(status) && fs::is_regular_file(partial / kJournalName, error)) return {};
  return Error(
      ErrorCode::io,
      fmt::format("{}: is in the way; it is no unfinished result of precis", partial.string()),
      "move it away, or choose another name for the result");
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

Status check_space(const Plan& plan, const fs::path& partial) {
  std::error_code error;
  fs::path existing = fs::absolute(partial, error);
  while (!fs::exists(existing, error) && existing.has_relative_path())
    existing = existing.parent_path();
  struct statvfs status {};
  // Filesystems that hold no files, such as /proc, report no blocks at all.
  if (::statvfs(existing.c_str(), &status) != 0 || status.f_blocks == 0) return {};
  std::size_t files = plan.text_files.size() + plan.carried_files.size();
  for (const ComponentPlan& component : plan.components) files += component.files.size();
  // Every file ends in a block that it fills in part.
  const uint64_t needed = plan.output_bytes + files * status.f_frsize;
  const uint64_t available = uint64_t{status.f_bavail} * status.f_frsize + allocated_bytes(partial);
  if (available >= needed) return {};
  return Error(ErrorCode::no_space,
               fmt::format("{}: the result takes {}, the disk has {} left", partial.string(),
                           format_bytes(needed), format_bytes(available)),
               "free some space or choose another disk");
}

}  // namespace

fs::path with_suffix(fs::path path, const std::string& suffix) {
  if (path.filename().empty()) path = path.parent_path();
  path += suffix;
  return path;
}

bool is_single_file(const Plan& plan) {
  const auto& files = plan.components.front().files;
  return !files.empty() && files.front().path.empty();
}

Status check_output_place(const Plan& plan, const fs::path& out, const fs::path& partial,
                          bool force) {
  PRECIS_TRY(check_apart_from_source(plan.source, out));
  PRECIS_TRY(check_existing(out, is_single_file(plan), force));
  PRECIS_TRY(check_partial(partial));
  return check_space(plan, partial);
}

}  // namespace precis
