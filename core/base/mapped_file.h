// A file mapped into memory for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

#include "core/base/result.h"

namespace precis {

// Pages are read when touched and belong to the file, not to the process' own memory. A file that
// another program shortens while it is mapped kills the reader: precis checks sizes before it
// begins.
class MappedFile {
 public:
  // Errors: io, naming the path.
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  uint64_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, static_cast<std::size_t>(size_)}; }

  // The same bytes, to be written to: what is written stays in this process and never reaches the
  // file. Errors: io.
  Result<std::span<std::byte>> writable_bytes() const;

  // Hints for a range: will be read soon, or is not needed any more.
  void prefetch(uint64_t offset, uint64_t size) const;
  void release(uint64_t offset, uint64_t size) const;

 private:
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

}  // namespace precis
