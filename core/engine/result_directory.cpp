#include "core/engine/result_directory.h"

#include <fmt/format.h>
#include <map>

#include "core/base/mapped_file.h"
#include "core/base/sha256.h"
#include "core/engine/output_place.h"

namespace precis {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSingleFileName = ".precis-weights";

// Removes everything but the journal: leftovers of a run with another plan.
void clear_directory(const fs::path& directory) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().filename() != kJournalName) fs::remove_all(entry.path(), error);
  }
}

// Through OutputFile, which tells a full disk from a broken one.
Status copy_carried_file(const fs::path& from, const fs::path& to) {
  PRECIS_ASSIGN(const auto source, MappedFile::open(from));
  const std::span<const std::byte> bytes = source.bytes();
  PRECIS_ASSIGN(const OutputFile file, OutputFile::open(to, bytes.size()));
  return file.write_at(0, bytes);
}

}  // namespace

fs::path ResultDirectory::path_of(const fs::path& relative) const {
  return partial_ / (relative.empty() ? fs::path(kSingleFileName) : relative);
}

Result<ResultDirectory> ResultDirectory::open(const Plan& plan, const fs::path& out,
                                              const ExecuteOptions& options) {
  const fs::path partial = with_suffix(out, ".partial");
  // Before anything is created, so that a run that cannot succeed leaves nothing behind.
  PRECIS_TRY(check_output_place(plan, out, partial, options.force));
  std::error_code error;
  fs::create_directories(partial, error);
  if (error) return system_error(partial, "create", error.value());
  PRECIS_ASSIGN(Journal journal,
                Journal::open(partial / kJournalName, plan.fingerprint, options.resume));
  ResultDirectory result(out, partial, std::move(journal));
  result.force_ = options.force;
  if (!options.resume) clear_directory(partial);
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
    PRECIS_TRY(copy_carried_file(plan.source / relative, path_of(relative)));
  }
  return put_in_place(is_single_file(plan));
}

Status ResultDirectory::put_in_place(bool single_file) {
  const fs::path result = single_file ? path_of({}) : partial_;
  std::error_code error;
  PRECIS_TRY(sync_directory(partial_));
  fs::path out = out_.filename().empty() ? out_.parent_path() : out_;
  // A directory cannot be replaced in one step: the old one moves aside first and goes last.
  const bool replace = force_ && !single_file && fs::exists(out, error);
  fs::path old = with_suffix(out_, ".old");
  for (int i = 1; fs::exists(fs::symlink_status(old, error)); ++i)
    old = with_suffix(out_, fmt::format(".old{}", i));
  if (replace) {
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
