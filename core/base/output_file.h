// Files that precis writes: at given offsets from any thread, or whole and atomically.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "core/base/result.h"

namespace precis {

// A file of known size, open for writing at any offset.
class OutputFile {
 public:
  // Opens or creates `path` and reserves `size` bytes on the disk, so that a full disk shows now
  // and not halfway. Existing contents are kept. Errors: io, naming the path and what the system
  // said.
  static Result<OutputFile> open(const std::filesystem::path& path, uint64_t size);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile();

  // Writes all of `bytes` at `offset`. [any thread]
  Status write_at(uint64_t offset, std::span<const std::byte> bytes) const;
  // Below this a write is as cheap through the cache.
  static constexpr uint64_t kPastCacheBytes = 1 << 20;
  // As write_at, past the system's cache where the file system allows that: a result of many GB
  // then costs no copy in the kernel and pushes nothing out of memory. What lies on no whole page
  // of the file is written as ever. `staging`: page-aligned memory of whole pages that the bytes
  // pass through. [any thread, with a staging of its own]
  Status write_past_cache(uint64_t offset, std::span<const std::byte> bytes,
                          std::span<std::byte> staging) const;
  // Reads `bytes.size()` bytes back from `offset`. [any thread]
  Status read_at(uint64_t offset, std::span<std::byte> bytes) const;
  // Asks the system to begin writing a finished range to the disk, without waiting. [any thread]
  void start_writeback(uint64_t offset, uint64_t size) const;
  // Waits until everything is on the disk.
  Status sync() const;

  const std::filesystem::path& path() const { return path_; }

 private:
  OutputFile(int descriptor, std::filesystem::path path)
      : descriptor_(descriptor), path_(std::move(path)) {}

  int descriptor_ = -1;
  int direct_ = -1;  // the same file past the cache; -1: not offered here
  std::filesystem::path path_;
};

// Whether files can be made in a directory; empty: the working directory. Error io.
Status check_directory_is_writable(const std::filesystem::path& directory);

// Whether a file can be made at `path`, or take the place of one there. Error io.
Status check_file_is_writable(const std::filesystem::path& path);

// Replaces `path` by `contents`: written beside it, synced, renamed.
Status write_file_atomically(const std::filesystem::path& path, std::string_view contents);

// The whole of a file of at most `limit` bytes.
Result<std::string> read_file(const std::filesystem::path& path, uint64_t limit);

// Waits until the entries of a directory (names created, renamed, removed) are on the disk.
Status sync_directory(const std::filesystem::path& path);

// An io error for `path` with the system's text for `error_number` and a remedy where one is known.
Error system_error(const std::filesystem::path& path, std::string_view doing, int error_number);

}  // namespace precis
