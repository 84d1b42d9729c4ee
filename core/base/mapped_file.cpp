#include "core/base/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/output_file.h"

namespace precis {
namespace {

// 4 KiB on x86-64, up to 64 KiB on ARM.
uint64_t page_size() {
  static const auto size = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return system_error(path, "open", errno);
  struct stat status {};
  MappedFile file;
  Status result;
  if (::fstat(descriptor, &status) != 0) {
    result = system_error(path, "read", errno);
  } else if (!S_ISREG(status.st_mode)) {
    result = Error(ErrorCode::io, fmt::format("{}: is not a regular file", path.string()),
                   "give a .safetensors or .gguf file, or the directory of a model");
  } else if (status.st_size > 0) {
    file.size_ = static_cast<uint64_t>(status.st_size);
    void* memory = ::mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (memory == MAP_FAILED) {
      file.size_ = 0;
      result = system_error(path, "map", errno);
    } else {
      file.data_ = static_cast<std::byte*>(memory);
    }
  }
  ::close(descriptor);
  if (!result.ok()) return std::move(result).error();
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Result<std::span<std::byte>> MappedFile::writable_bytes() const {
  if (size_ > 0 && ::mprotect(data_, size_, PROT_READ | PROT_WRITE) != 0) {
    return Error(ErrorCode::io, fmt::format("{} mapped bytes cannot be made writable: {}", size_,
                                            strerror(errno)));
  }
  return std::span(data_, static_cast<std::size_t>(size_));
}

void MappedFile::prefetch(uint64_t offset, uint64_t size) const {
  if (data_ == nullptr || size == 0) return;
  const uint64_t begin = offset / page_size() * page_size();
  ::madvise(data_ + begin, offset + size - begin, MADV_WILLNEED);
}

void MappedFile::release(uint64_t offset, uint64_t size) const {
  // Only pages that lie inside the range: a neighbour's bytes may share the outer ones.
  const uint64_t page = page_size();
  const uint64_t begin = (offset + page - 1) / page * page;
  const uint64_t end = (offset + size) / page * page;
  if (data_ != nullptr && begin < end) ::madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

}  // namespace precis
